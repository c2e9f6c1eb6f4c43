"""One `.env` file, read as python-dotenv reads it."""

import io
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from settings.dotenv_files import ENV_FILE_BYTES, read_dotenv

FILE = """\
# a comment
PLAIN=value
export EXPORTED=value # with a comment
SINGLE='it is # not a comment'
DOUBLE="two\\nlines"
EMPTY=
SPACED = value
EXPANDED=${PLAIN}/${OUTSIDE:-default}
TWICE=${PLAIN}
PLAIN=again

LAST="a
b"
END=1
"""


def read(folder: Path, text: str | bytes, **below: str) -> tuple[dict[str, tuple[str, str]], list[tuple[str, str]]]:
    """Return what a file with this text says, and variable and source of what is wrong with it."""
    (folder / ".env").write_bytes(text.encode() if isinstance(text, str) else text)
    found, problems = read_dotenv(folder / ".env", below, label=".env")
    return found, [(each.code, each.source) for each in problems]


def test_it_reads_what_python_dotenv_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments, quotes, export, escapes, expansion and repetition give the same values."""
    monkeypatch.delenv("OUTSIDE", raising=False)
    found, problems = read(tmp_path, FILE)
    assert {name: text for name, (text, _) in found.items()} == dict(dotenv_values(tmp_path / ".env"))
    assert [code for code, _ in problems] == ["repeated-name"]  # PLAIN, which the file sets to two values


def test_an_expansion_of_nothing_is_told(tmp_path: Path) -> None:
    """`${OTHER}` that is not set, or is set below, leaves a hole, which nobody sees in the value."""
    text = "A=${LATER}/x\nB=${LATER:-}\nC=${LATER:-d}\nD=${OUTSIDE}\nLATER=1\nE=${LATER}\n"
    found, problems = read(tmp_path, text, OUTSIDE="o")
    assert found["A"][0] == "/x"
    assert problems == [("empty-expansion", ".env:1")]  # who writes ":-" means it


def test_a_name_with_two_values_is_told(tmp_path: Path) -> None:
    """The last one holds, and the line above is easily overlooked; the same value twice harms nobody."""
    (tmp_path / ".env").write_text("A=1\nB=2\nB=2\nA=3\n")
    found, [problem] = read_dotenv(tmp_path / ".env", {}, label=".env")
    assert (found["A"][0], problem.variable, problem.code, problem.source) == ("3", "A", "repeated-name", ".env:4")
    assert "line 1" in problem.message


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.text(st.sampled_from("AB=${}'\"# \n\\:-x"), max_size=30))
@example("A=1\nA\nB=${A}")
@example("A=1\nA\nB=${A:-x}")
@example(":=\n:")
def test_any_text_reads_as_python_dotenv_reads_it(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever the file holds, names and values are python-dotenv's, and a line that it skips is a problem."""
    found, problems = read(tmp_path_factory.mktemp("any"), text)
    theirs = dotenv_values(stream=io.StringIO(text))
    assert {name: value for name, (value, _) in found.items()} == {n: v for n, v in theirs.items() if v is not None}
    assert bool(problems) >= any(value is None for value in theirs.values())


def test_each_value_has_its_line(tmp_path: Path) -> None:
    """The origin is the line of the name, blank lines, comments and values of several lines counted."""
    found, _ = read(tmp_path, FILE)
    lines = {name: origin for name, (_, origin) in found.items()}
    assert (lines["EXPORTED"], lines["PLAIN"], lines["LAST"], lines["END"]) == (
        ".env:3",
        ".env:10",
        ".env:12",
        ".env:14",
    )


def test_other_sources_can_be_expanded(tmp_path: Path) -> None:
    """`${OTHER}` may name what is in the environment; the file's own names win."""
    found, _ = read(tmp_path, "A=${HOST}\nHOST=inner\nB=${HOST}\n", HOST="outer")
    assert (found["A"][0], found["B"][0]) == ("outer", "inner")


@pytest.mark.parametrize(
    ("text", "source"), [("A=1\nDATABASE_URL\n", ".env:2"), ("A='1\n", ".env:1"), ("\n\n=x\n", ".env:3")]
)
def test_a_line_that_says_nothing_is_a_problem(tmp_path: Path, text: str, source: str) -> None:
    """A line without `=`, without a name or with an open quote is told with its number."""
    assert ("invalid-line", source) in read(tmp_path, text)[1]


def test_the_rest_of_a_broken_secret_is_not_shown(tmp_path: Path) -> None:
    """A line that may be the second half of a secret is told by its number alone."""
    (tmp_path / ".env").write_text("TOKEN=Zq9\nMIIEvQIBADANBgkqhkiG9w0\n")
    _, problems = read_dotenv(tmp_path / ".env", {}, label=".env")
    assert "MIIE" not in repr(problems)
    assert problems[0].variable == ".env:2"


@pytest.mark.parametrize("content", [b"A=\xff\n", b"A=" + b"x" * ENV_FILE_BYTES])
def test_a_file_that_is_no_text_is_one_problem(tmp_path: Path, content: bytes) -> None:
    """Bytes that are no UTF-8, or far too many of them, are an error of the file, and nothing is read."""
    assert read(tmp_path, content) == ({}, [("unreadable-env-file", ".env")])


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    """Files from Windows editors begin with one."""
    assert read(tmp_path, b"\xef\xbb\xbfA=1\r\nB=2\r\n")[0] == {"A": ("1", ".env:1"), "B": ("2", ".env:2")}


def test_no_file_is_no_problem(tmp_path: Path) -> None:
    """Most folders have no `.env`."""
    assert read_dotenv(tmp_path / ".env", {}, label=".env") == ({}, [])


@pytest.mark.parametrize("target", [None, "gone", ".env"])
def test_what_is_no_file_is_told(tmp_path: Path, target: str | None) -> None:
    """A folder, a link to nothing and a link to itself are a warning: somebody meant to have a file there."""
    if target is None:
        (tmp_path / ".env").mkdir()
    else:
        (tmp_path / ".env").symlink_to(tmp_path / target)
    found, [problem] = read_dotenv(tmp_path / ".env", {}, label=".env")
    assert (found, problem.code, problem.severity) == ({}, "unreadable-env-file", "warning")
