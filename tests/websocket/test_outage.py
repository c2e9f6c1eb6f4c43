"""The lines of an outage."""

import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settings.problems import Diagnosis
from settings.websocket.outage import OutageLog
from tests.websocket.clients import lines

FAULT = Diagnosis("websocket-refused", "nothing listens", "start it", transient=True)
EVENTS = ("failed", "gave_up", "opened")


def play(log: OutageLog, event: str) -> None:
    """Tell the log of one event."""
    if event == "gave_up":
        log.failed(FAULT)
        log.gave_up(FAULT, 300.0, 7)
    elif event == "failed":
        log.failed(FAULT)
    else:
        log.opened()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(EVENTS), max_size=40))
def test_an_outage_has_at_most_two_lines(caplog: pytest.LogCaptureFixture, events: list[str]) -> None:
    """However often a gateway fails, is given up, or opens only to close: two lines until a connection has held."""
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    log = OutageLog("ws://gateway", clock=lambda: 5.0)
    for event in ("failed", *events, "opened"):
        play(log, event)
    log.over()
    log.over()
    levels = [record.levelname for record in lines(caplog)]
    assert levels == (["ERROR", "INFO"] if "gave_up" in events else ["INFO"])


def test_the_lines_say_what_a_person_needs(caplog: pytest.LogCaptureFixture) -> None:
    """The error names variable, target, cause, code, what waits and the fix; the end says how long it was."""
    caplog.set_level(logging.INFO)
    times = iter([100.0, 130.5])
    log = OutageLog("ws://gateway", clock=lambda: next(times))
    log.failed(FAULT)
    log.gave_up(FAULT, 300.0, 7)
    log.opened()
    log.over()
    given_up = (
        "WS_URL (ws://gateway): unavailable after 1 attempts: nothing listens [websocket-refused]; "
        "tried again quietly every 300 s; 7 events wait. Fix: start it"
    )
    assert [record.getMessage() for record in lines(caplog)] == [
        given_up,
        "WebSocket connected to ws://gateway again, after 30.5 s and 1 failures: nothing listens",
    ]


def test_each_outage_has_its_own_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A new outage is told again, as is what becomes of an attempt that a person asked for."""
    log = OutageLog("ws://gateway", clock=lambda: 1.0)
    play(log, "gave_up")
    log.opened()
    log.over()
    play(log, "gave_up")
    play(log, "gave_up")
    log.renew()
    play(log, "gave_up")
    assert [record.levelname for record in lines(caplog)] == ["ERROR"] * 3


def test_the_first_connection_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A gateway that is there from the beginning costs one line."""
    caplog.set_level(logging.INFO)
    log = OutageLog("ws://gateway", clock=lambda: 1.0)
    log.opened()
    log.over()
    log.opened()
    assert [record.getMessage() for record in lines(caplog)] == ["WebSocket connected to ws://gateway"]


def test_a_quiet_probe_that_meets_what_cannot_pass_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """When nothing is tried any more although the first line promised it, a second one says so, and why; no third."""
    log, wrong = OutageLog("ws://gateway", clock=lambda: 5.0), Diagnosis("websocket-unauthorized", "no entry", "knock")
    for fault, pause in ((FAULT, 300.0), (FAULT, 300.0), (wrong, None), (wrong, None)):
        log.failed(fault)
        log.gave_up(fault, pause, 7)
    first, second = [record.getMessage() for record in lines(caplog)]
    assert "tried again quietly" in first
    assert (
        "no entry [websocket-unauthorized]; not tried again before retry() is called; 7 events wait. Fix: knock"
        in second
    )
