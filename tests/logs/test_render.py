"""A record as a line."""

import io
import json
import logging
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from loguru import logger

from settings.logs.render import moment
from settings.logs.sink import Logs

Open = Callable[..., Logs]
Lines = Callable[[], list[dict[str, Any]]]

ALWAYS = {
    "time", "level", "message", "logger", "function", "line", "app", "environment", "pid", "thread",
}  # fmt: skip


def test_moments_are_iso_8601_in_utc() -> None:
    """To the millisecond, with a Z."""
    assert moment(1795575158.5246) == "2026-11-25T02:52:38.524Z"


def test_the_schema_of_json_is_stable(open_logs: Open, lines: Lines) -> None:
    """These fields are always there; the request's when they are known; the caller's own under `extra`."""
    logs = open_logs(environment="production")
    logger.info("plain")
    fields = {"request_id": "r", "method": "GET", "path": "/", "endpoint": "index", "worker": "w"}
    with logs.bound(**fields, tenant="t1"):
        logger.bind(order=7).error("full")
    plain, full = lines()
    assert set(plain) == ALWAYS
    assert set(full) == ALWAYS | set(fields) | {"extra", "fingerprint"}
    assert full["extra"] == {"tenant": "t1", "order": 7}
    assert (plain["app"], plain["environment"], plain["thread"]) == ("shop", "production", "MainThread")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", plain["time"])


def test_what_has_no_value_is_left_out(open_logs: Open, lines: Lines) -> None:
    """An endpoint that is not known yet is no field; one that is known late is."""
    endpoint: list[str] = []

    class Late:
        def __str__(self) -> str:
            return "".join(endpoint)

    logs = open_logs()
    with logs.bound(endpoint=Late(), path=None):
        logger.info("before routing")
        endpoint.append("index")
        logger.info("after routing")
    assert [line.get("endpoint") for line in lines()] == [None, "index"]
    assert "path" not in lines()[0]


def test_a_chain_of_exceptions_is_structured(open_logs: Open, lines: Lines) -> None:
    """Each exception has type, text, notes and frames; what was raised last comes first."""
    open_logs()
    try:
        try:
            raise KeyError("card")
        except KeyError as cause:
            error = ValueError("order 7")
            error.add_note("look at the card")
            raise error from cause
    except ValueError:
        logger.exception("failed")
    outer, inner = lines()[0]["exception"]
    assert (outer["type"], outer["message"], outer["notes"]) == ("ValueError", "order 7", ["look at the card"])
    assert inner["type"] == "KeyError"
    assert outer["frames"][0]["code"] == "raise error from cause"
    assert set(outer["frames"][0]) == {"file", "line", "function", "code"}


def test_groups_and_suppressed_contexts(open_logs: Open, lines: Lines) -> None:
    """The members of a group are there; what `from None` hides is not."""
    open_logs()
    hidden = ValueError("shown")
    hidden.__context__, hidden.__suppress_context__ = KeyError("hidden"), True
    logger.opt(exception=ExceptionGroup("both", [hidden, OSError("disk")])).error("failed")
    assert [each["type"] for each in lines()[0]["exception"]] == ["ExceptionGroup", "ValueError", "OSError"]


def test_a_very_deep_traceback_is_cut_in_the_middle(open_logs: Open, lines: Lines) -> None:
    """Beginning and end stay, and how much is missing is told."""

    def down(depth: int) -> None:
        if depth == 0:
            raise ValueError("deep")
        down(depth - 1)

    open_logs()
    try:
        down(200)
    except ValueError:
        logger.exception("failed")
    (error,) = lines()[0]["exception"]
    assert (len(error["frames"]), error["frames_left_out"]) == (100, 102)
    assert error["frames"][-1]["code"] == 'raise ValueError("deep")'


def test_text_is_brief_and_complete(open_logs: Open, stream: io.StringIO) -> None:
    """Time, level, service and pid, place, message, and fields in one line."""
    logs = open_logs(format="text", environment="production")
    with logs.bound(request_id="r1", path="/a b"):
        logger.bind(order=7).warning("slow")
    pattern = (
        rf"\S+Z WARNING  shop/production\[\d+\] {re.escape(__name__)}:\d+ - slow  "
        r'request_id=r1 path="/a b" order=7\n'
    )
    assert re.fullmatch(pattern, stream.getvalue())


def test_the_fields_of_a_request_are_always_text(open_logs: Open, lines: Lines) -> None:
    """A collector that has learnt that `path` is text is never given an object or a number there."""
    open_logs()
    logger.bind(method=1, path={"a": 1}, endpoint=["x"], worker=True).info("odd")
    assert [lines()[0][name] for name in ("method", "path", "endpoint", "worker")] == ["1", "{'a': 1}", "['x']", "True"]


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_field_may_have_any_name(open_logs: Open, stream: io.StringIO, kind: str) -> None:
    """The standard library takes what is no text as the name of a field."""
    open_logs(format=kind)
    logging.getLogger("t").info("odd", extra={7: "seven"})  # type: ignore[dict-item] # wrong on purpose
    assert ('"7": "seven"' if kind == "json" else "7=seven") in stream.getvalue()


@pytest.mark.parametrize("kind", ["text", "json"])
def test_names_are_masked_and_harmless_too(open_logs: Open, stream: io.StringIO, kind: str) -> None:
    """Names of loggers, threads and fields, and a fingerprint of one's own, may hold what others have written."""
    logs = open_logs(format=kind, secrets=frozenset({"hunter2-and-more"}), errors_per_minute=1)
    name = "hunter2-and-more\n2026-11-25T02:33:06.123Z ERROR forged"

    def work() -> None:
        for _ in range(2):
            logging.getLogger(name).error("failed", extra={name: 1, "fingerprint": name})

    thread = threading.Thread(target=work, name=name)
    thread.start()
    thread.join()
    assert "hunter2" not in logs.repeated()[0].fingerprint
    logs.close()
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 3


@pytest.mark.parametrize("kind", ["text", "json"])
def test_nobody_can_forge_a_line(open_logs: Open, stream: io.StringIO, kind: str) -> None:
    """Line breaks and escape codes in messages, fields and exceptions begin no line and reach no terminal."""
    forged = "x\n2026-11-25T02:33:06.123Z ERROR forged\r\x1b[31m\u2028{}"
    logs = open_logs(format=kind)
    with logs.bound(path=forged):
        try:
            raise ValueError(forged)
        except ValueError:
            logger.bind(field=forged).exception(forged)
    text = stream.getvalue()
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line.startswith("2026-11-25T02:33:06.123Z ERROR forged")] == []
    heads = [line for line in text.split("\n") if line and not line.startswith("    ")]
    assert len(heads) == 1


def test_a_traceback_follows_indented(open_logs: Open, stream: io.StringIO) -> None:
    """People read it as Python prints it."""
    open_logs(format="text")
    try:
        raise ValueError("boom")
    except ValueError:
        logger.exception("failed")
    assert "    Traceback (most recent call last):\n" in stream.getvalue()
    assert stream.getvalue().endswith("    ValueError: boom\n")


def test_not_a_number_is_no_broken_line(open_logs: Open, lines: Lines) -> None:
    """JSON knows no infinity; a field that is one is still a line that can be read."""
    open_logs()
    logger.bind(ratio=float("inf"), share=float("nan")).info("odd")
    assert lines()[0]["extra"] == {"ratio": "inf", "share": "nan"}


def test_the_line_is_valid_json_in_ascii(open_logs: Open, stream: io.StringIO) -> None:
    """Any collector can read it, whatever its encoding."""
    open_logs()
    logger.info("größe \ud800")
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue())["message"] == "größe \ud800"
