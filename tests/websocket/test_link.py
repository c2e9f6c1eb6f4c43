"""How a connection is opened: TLS, credentials, names, and what a forked child holds of it."""

import asyncio
import http
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from settings.websocket.link import Loop, let_go_in_child
from settings.websocket.machine import State
from tests.websocket.clients import Make
from tests.websocket.gateway import Gateway, RawGateway, close_frame, status, upgraded, wait_until


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    path, key = folder / "certificate.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -keyout {key} -out {path}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return path, key


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[Gateway]:
    """A gateway with TLS, whose certificate nobody trusts by himself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Gateway(tls=context) as gateway:
        yield gateway


def test_a_certificate_that_is_trusted_is_enough(
    make: Make, secure: Gateway, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE adds an authority; the events travel by TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    client = make(secure.url.replace("127.0.0.1", "localhost"))
    client.send("a", 1)
    client.start()
    wait_until(lambda: secure.payloads() == [1])
    secure.drop()
    wait_until(lambda: len(secure.attempts) == 2)
    client.send("a", 2)
    wait_until(lambda: secure.payloads() == [1, 2])


@pytest.mark.parametrize("trusted", [True, False], ids=["another host's", "self-signed"])
def test_a_certificate_that_does_not_hold_is_permanent(
    make: Make, secure: Gateway, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    """TLS is verified, the host's name too; a bad certificate is tried once, and no event is sent."""
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    client = make(secure.url, max_retries=5, cooldown=0.05)
    client.send("a", 1)
    client.start()
    wait_until(lambda: client.state is State.UNAVAILABLE)
    assert client.reading().code == "websocket-certificate"
    assert client.figures()["next_attempt_seconds"] is None
    assert secure.messages == []


def test_the_token_is_the_one_credential(make: Make, gateway: Gateway) -> None:
    """WS_TOKEN is sent as a bearer token, and then nothing of a user in the URL."""
    client = make(gateway.url.replace("://", "://user:password@"), token="the-token")
    client.start()
    wait_until(lambda: gateway.requests)
    assert gateway.requests[0].headers.get_all("Authorization") == ["Bearer the-token"]


def test_without_a_token_user_and_password_of_the_url_are_sent(make: Make, gateway: Gateway) -> None:
    """Basic authentication works as in every URL."""
    client = make(gateway.url.replace("://", "://user:password@"))
    client.start()
    wait_until(lambda: gateway.requests)
    assert gateway.requests[0].headers.get_all("Authorization") == ["Basic dXNlcjpwYXNzd29yZA=="]


def test_a_redirect_to_another_host_gets_no_token(make: Make, gateway: Gateway) -> None:
    """A redirect within reach is followed, without the credentials, which are for WS_URL only."""

    def redirect(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(http.HTTPStatus.FOUND, "")
        response.headers["Location"] = gateway.url
        return response

    with Gateway(answer=redirect) as first:
        client = make(first.url, token="the-token")
        client.start()
        wait_until(lambda: gateway.connections)
        assert first.requests[0].headers["Authorization"] == "Bearer the-token"
        assert "Authorization" not in gateway.requests[0].headers


@pytest.mark.parametrize("trusted", [True, False])
def test_a_redirect_to_tls_is_followed_and_verified(
    make: Make, secure: Gateway, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    """From ws:// to wss:// a gateway may send anybody, but only to a host whose certificate holds."""
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    there = secure.url.replace("127.0.0.1", "localhost")
    with RawGateway(status("301 Moved Permanently", f"Location: {there}")) as first:
        client = make(first.url, max_retries=5, cooldown=0)
        client.send("a", 1)
        client.start()
        wait_until(lambda: client.state in (State.CONNECTED, State.UNAVAILABLE))
        if trusted:
            wait_until(lambda: secure.payloads() == [1])
        else:
            assert client.reading().code == "websocket-certificate"


def test_a_proxy_of_the_environment_is_left_alone(
    make: Make, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY and the like are for other programs."""
    for name in ("http_proxy", "HTTPS_PROXY", "all_proxy", "ws_proxy", "socks_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = make(gateway.url)
    client.start()
    wait_until(lambda: gateway.connections)


def test_a_silent_name_server_holds_neither_the_attempt_nor_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is never resolved ends by the time-out of the attempt, and its thread is a daemon."""
    free = threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        free.wait(20)
        return []

    async def attempt() -> None:
        async with asyncio.timeout(0.05):
            await asyncio.get_running_loop().getaddrinfo("name", 80)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    begin = time.monotonic()
    with asyncio.Runner(loop_factory=Loop) as runner, pytest.raises(TimeoutError):
        runner.run(attempt())
    assert time.monotonic() - begin < 5
    [thread] = [each for each in threading.enumerate() if each.name == "websocket-resolver"]
    assert thread.daemon
    free.set()
    thread.join(5)


def test_a_gateway_that_says_goodbye_and_hangs_on_is_left(make: Make) -> None:
    """After a close frame the connection ends within a second, though the gateway leaves the socket open."""
    with RawGateway(upgraded(close_frame(1001))) as gateway:
        client = make(gateway.url, max_retries=0, cooldown=0)
        begin = time.monotonic()
        client.start()
        wait_until(lambda: client.state is State.UNAVAILABLE)
        assert time.monotonic() - begin < 5
    assert client.reading().code == "websocket-closed"


def test_a_child_lets_go_of_a_connection_without_ending_it() -> None:
    """The descriptor stays a valid number, and the other end sees the end only when the last holder closes."""
    ours, other = socket.socketpair()
    inherited = ours.dup()
    let_go_in_child(inherited.fileno())
    ours.close()
    other.settimeout(5)
    assert other.recv(1) == b""
    assert os.fstat(inherited.fileno())
    inherited.close()
    other.close()
