"""Answers that go on after the view has returned, under a real server: their lines, their end and their count."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path

import pytest

from tests.end_to_end.status_service import TOKEN
from tests.end_to_end.test_metrics import scrape
from tests.running import Running, gunicorn, serving
from tests.servers import wait_until

WSGI = """
import logging
from io import BytesIO

from flask import Flask, Response, send_file, stream_with_context

from bootstrap import bootstrap


def lazy(inner):
    def call(environ, respond):
        yield from inner(environ, respond)

    return call


app = Flask(__name__)
app.wsgi_app = lazy(app.wsgi_app)
services = bootstrap(app)


@app.get("/export")
def export():
    def rows():
        yield "one\\n"
        logging.getLogger("export").warning("in the stream")
        raise LookupError("in the stream")

    return Response(stream_with_context(rows()))


@app.get("/endless")
def endless():
    def parts():
        try:
            while True:
                yield "x" * 65536
        finally:
            logging.getLogger("endless").warning("gone away")

    return Response(parts())


@app.get("/file")
def file():
    return send_file(__file__)
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    """One worker, behind a middleware that is a generator."""
    (tmp_path / "wsgi.py").write_text(WSGI)
    with serving(gunicorn("wsgi:app", workers=1), tmp_path, LOG_FORMAT="json", STATUS_TOKEN=TOKEN) as running:
        yield running


def _lines(running: Running, logger: str) -> list[dict[str, object]]:
    lines = [json.loads(each) for each in running.output().splitlines() if each.startswith("{")]
    return [each for each in lines if each["logger"] == logger]


def _counts(running: Running) -> dict[tuple[str, str], float]:
    found = [(dict(labels), value) for (name, labels), value in scrape(running).items() if "requests_total" in name]
    return {(labels["endpoint"], labels["status"]): value for labels, value in found}


def test_a_stream_belongs_to_its_request_to_the_end(service: Running) -> None:
    """Its lines have the request's fields, its failure and a client that goes away are counted once."""
    connection = HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request("GET", "/export", headers={"X-Request-ID": "export-1"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers.get_all("X-Request-ID")) == (200, ["export-1"])
    with pytest.raises(IncompleteRead) as broken:
        answer.read()
    assert broken.value.partial == b"one\n"
    connection.close()
    [line] = _lines(service, "export")
    assert (line["request_id"], line["path"], line["endpoint"]) == ("export-1", "/export", "export")
    connection.request("GET", "/endless", headers={"X-Request-ID": "endless-1"})
    assert connection.getresponse().read(10) == b"x" * 10
    connection.close()
    wait_until(lambda: bool(_lines(service, "endless")), what="the end of the stream that nobody reads")
    assert _lines(service, "endless")[0]["request_id"] == "endless-1"
    assert service.ask("/file").text == WSGI
    expected = {("export", "500"): 1, ("endless", "200"): 1, ("file", "200"): 1}
    wait_until(lambda: expected.items() <= _counts(service).items(), what="three requests, counted once")
