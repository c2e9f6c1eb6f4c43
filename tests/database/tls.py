"""TLS in front of a server that has none."""

import contextlib
import socket
import ssl

from tests.cache.broken_redis import CERTIFICATE
from tests.database.conftest import PatientProxy

__all__ = ["CERTIFICATE", "TlsProxy"]


class TlsProxy(PatientProxy):
    """Takes PostgreSQL's request for TLS and forwards what is inside; the certificate is for 127.0.0.1.

    In the mode `close` it agrees on TLS, reads the login and is gone.
    """

    def _serve(self, connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE.with_name("server-with-key.pem"))
        with contextlib.suppress(OSError, ValueError):
            connection.recv(8)
            connection.sendall(b"S")
            encrypted = context.wrap_socket(connection, server_side=True)
            if self.mode == "close":
                encrypted.recv(4096)
                encrypted.close()
            else:
                self._forward(encrypted)
