"""What may stand behind the question mark of REDIS_URL, known without importing redis-py."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

from settings.near_misses import nearest
from settings.room import wrong

_NUMBER, _WHOLE, _ANY = r"\d+(\.\d*)?", r"\d{1,9}", r"(?s).*"
_PLAIN = {
    "db": _ANY,  # told by its own check
    "client_name": _ANY, "username": _ANY, "password": _ANY,
    "protocol": "2|3", "health_check_interval": _WHOLE, "max_connections": _WHOLE, "socket_read_size": _WHOLE,
    "socket_timeout": _NUMBER, "socket_connect_timeout": _NUMBER, "timeout": _NUMBER,
    "socket_keepalive": _ANY, "retry_on_timeout": _ANY, "encoding": _ANY, "encoding_errors": _ANY,
    "decode_responses": _ANY,
}  # fmt: skip
_TLS = {
    "ssl_cert_reqs": "none|optional|required", "ssl_check_hostname": _ANY, "ssl_ca_certs": _ANY, "ssl_ca_path": _ANY,
    "ssl_ca_data": _ANY, "ssl_certfile": _ANY, "ssl_keyfile": _ANY, "ssl_password": _ANY, "ssl_ciphers": _ANY,
    "ssl_min_version": _WHOLE, "ssl_validate_ocsp": _ANY, "ssl_validate_ocsp_stapled": _ANY,
    "ssl_ocsp_expected_cert": _ANY,
}  # fmt: skip
OPTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"redis": _PLAIN, "unix": _PLAIN, "rediss": {**_PLAIN, **_TLS}}
)
"""Scheme to option to a pattern of its value; of redis-py's, those that a text can give."""


def check_options(scheme: str, query: str) -> None:
    """Return when redis-py takes every option of the query.

    Raises:
        PydanticCustomError: With the code `unknown-option` or `invalid-option`; no value is in its words.
    """
    known = OPTIONS[scheme]
    for name, value in parse_qsl(query):
        if name not in known and name in _TLS:
            raise wrong(
                "unknown-option", f"{name} is an option of rediss:// URLs", "begin it with rediss://, or remove it"
            )
        if name not in known:
            # The name is not shown when it resembles none: it may be the rest of a secret.
            near = nearest(name, known, most=2)
            fix = f"did you mean {near}? else remove it" if near else f"remove it; there are {', '.join(known)}"
            raise wrong("unknown-option", "redis-py knows no such option as one in its query", fix)
        if not re.fullmatch(known[name], value):
            raise wrong(
                "invalid-option", f"the value of the option {name} cannot be used", "see redis.Redis for what there is"
            )
