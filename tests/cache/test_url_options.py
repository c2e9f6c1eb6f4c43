"""Options of REDIS_URL: the same that redis-py takes."""

import pytest
from pydantic import SecretStr

from settings.cache.client import connect
from settings.cache.model import RedisSettings
from settings.cache.url_options import OPTIONS
from settings.problems import SettingsError

SAMPLES = {"protocol": "3", "ssl_cert_reqs": "none", "password": "p", "encoding": "utf-8", "encoding_errors": "strict"}


@pytest.mark.parametrize(("scheme", "option"), [(scheme, each) for scheme in OPTIONS for each in OPTIONS[scheme]])
def test_every_option_is_one_of_the_client(scheme: str, option: str) -> None:
    """What is let through is opened by redis-py, so that the boot refuses nothing that `check` called valid."""
    where = "unix:///run/redis.sock" if scheme == "unix" else f"{scheme}://h/0"
    url = f"{where}?{option}={SAMPLES.get(option, '5')}"
    connect(RedisSettings.model_validate({"url": url})).close()


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("redis://h/0?foo=s3cret", "unknown-option"),
        ("redis://h/0?s3cret=1", "unknown-option"),
        ("redis://h/0?ssl_cert_reqs=none", "unknown-option"),
        ("redis://h?db=s3cret", "invalid-database"),
        ("redis://h/0?socket_timeout=s3cret", "invalid-option"),
        ("redis://h/0?protocol=9", "invalid-option"),
        ("rediss://h?ssl_cert_reqs=s3cret", "invalid-option"),
        ("unix:///run/redis.sock?health_check_interval=x", "invalid-option"),
    ],
)
def test_what_the_client_refuses_is_refused(url: str, code: str) -> None:
    """An unknown option and an impossible value are told before a boot meets them, without the value."""
    with pytest.raises(SettingsError) as caught:
        RedisSettings(url=SecretStr(url))
    [problem] = caught.value.problems
    assert problem.code == code
    assert "s3cret" not in str(problem)


def test_a_misspelt_option_is_told_the_right_one() -> None:
    """The nearest option is named."""
    with pytest.raises(SettingsError) as caught:
        RedisSettings(url=SecretStr("redis://h?socket_timeot=1"))
    assert "did you mean socket_timeout?" in str(caught.value)
