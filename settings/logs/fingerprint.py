r"""What makes two errors the same.

The fingerprint of a record is made of

1. where it was logged: file and line of the call, for stdlib records their own caller's;
2. with an exception: its type, the way from where it was caught down to where it was raised (each line once) and
   its text; and the same of all it was raised from, and of the members of a group: one `raise ServiceError("failed")
   from error` makes no two faults one. The text of the record is left out then: Flask puts the path of the request
   there, and one fault of the database would count anew for every path;
3. without one: the text of the record.

Of a text, what varies between two occurrences of one error is taken out: quoted values, numbers, times, dates,
hexadecimal numbers, uuids, network and e-mail addresses, those segments of a path that have a digit, and words in which
letters and digits are mixed as in no ordinary one: `cus_NffrFeUfNV2Hib` but its `cus_`, not `sha256`, `orders2`,
`x86_64`. What stands behind the first 2000 letters does not count.
`logger.bind(fingerprint="…")` (stdlib: `extra={"fingerprint": "…"}`) overrules all of it.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b

from settings.logs.chain import chain_of
from settings.logs.masking import text_of

_CHANGE = r"(?:[A-Za-z](?=\d)|\d(?=[A-Za-z]))"
_VARIABLE = re.compile(
    r"""(?<!\w)(?:b?'[^'\n]*'|b?"[^"\n]*"|`[^`\n]*`)(?!\w)"""  # quoted; the apostrophe of "can't" opens nothing
    r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"  # uuid
    r"|(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+"  # e-mail address; begun anew at each letter, long words take minutes
    r"|\b0[xX][0-9a-fA-F]+"
    r"|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])"  # IPv6, MAC, time
    r"|(?<=/)[^/\s?#&,;'\"\])]*\d[^/\s?#&,;'\"\])]*"  # segment of a path
    r"|\b(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b"
    # Ids: ULID, base62, base64url, behind a prefix in small letters. Either letters and digits change three times, or
    # twice in a longer word without four small letters in a row, as S3UploadFailed has them. Only 40 letters are looked
    # at, or a long text would take minutes.
    rf"|(?<![A-Za-z0-9])(?![a-z]+[_-])(?:(?=(?:[\w-]{{0,40}}?{_CHANGE}){{3}})[\w-]{{10,}}+"
    r"|(?=[A-Za-z]*\d+[A-Za-z])(?=\d*[A-Za-z]+\d)(?![A-Za-z0-9]{0,40}[a-z]{4})[A-Za-z0-9]{12,}+(?![A-Za-z0-9]))"
    r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:[a-z]*day)?,? (?=[A-Z\d])"
    r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*(?= \d)"
    r"|(?:(?<!\w)[-+])?\d+(?:[.,:_-]\d+|[eE][-+]?\d+|T(?=\d))*"
)
_UNFINISHED = re.compile(r"""(?<!\w)b?(?:'[^'\n]*|"[^"\n]*|`[^`\n]*)\Z""")
_SPARE_ROOM = 256
"""Fingerprints kept beside their records, so that the same record again costs one look-up."""
_LONGEST_KEPT = 2000
"""Letters of a text that is kept, and that count of any text."""
_DEEPEST = 50
"""Exceptions of a chain, and different lines of a traceback, that count."""


def without_variables(text: str) -> str:
    """Return `text` with every part that varies between two occurrences of one error replaced by an asterisk.

    Only its beginning: one of a megabyte would hold up every thread for half a second.
    """
    if len(text) <= _LONGEST_KEPT:
        return _VARIABLE.sub("*", text)
    return _UNFINISHED.sub("*", _VARIABLE.sub("*", text[:_LONGEST_KEPT]))  # it may end within a quoted value


def _way(error: BaseException) -> list[str]:
    """Return the lines from where an exception was caught to where it was raised, each once."""
    lines: dict[str, None] = {}
    trace = error.__traceback__
    while trace is not None:
        lines[f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"] = None
        trace = trace.tb_next
    return list(lines)[-_DEEPEST:]


def own_fingerprint(given: object) -> str:
    """Return what a caller gave as fingerprint, of whatever type, as text."""
    return given if type(given) is str else text_of(given)


class Fingerprints:
    """Makes fingerprints, and keeps the last ones; thread-safe.

    Attributes:
        kept: Fingerprints by what they were made of: file, line and text, where there is no exception.
    """

    def __init__(self) -> None:
        self.kept: dict[tuple[object, ...], str] = {}

    def of(self, file: str, line: int, message: str, error: BaseException | None = None) -> str:
        """Return the fingerprint of a record: 14 hexadecimal digits, the same in every process.

        Args:
            file: Path of the file in which it was logged.
            line: Its line.
            message: Its text; counts only where there is no exception.
            error: Its exception.
        """
        if error is None:
            key: tuple[object, ...] = (file, line, message)
            return self.kept.get(key) or self._make(key, file, line, message)
        try:
            message = str(error)
        except Exception:  # noqa: BLE001 - an error that cannot even be printed is still an error to be counted
            message = ""
        trace = error.__traceback__
        if error.__cause__ is not None or error.__context__ is not None or isinstance(error, BaseExceptionGroup):
            message = _text(error)
            key = (file, line, message, *_marks(chain_of(error, _DEEPEST)))
        elif trace is not None and trace.tb_next is not None:
            key = (file, line, message, *_marks((error,)))
        elif trace is None:
            key = (file, line, message, type(error))
        else:  # caught where it was raised: the same marks without a further call
            code = trace.tb_frame.f_code
            key = (file, line, message, type(error), code.co_filename, code.co_firstlineno, trace.tb_lasti)
        return self.kept.get(key) or self._make(key, file, line, message, *_parts(error))

    def _make(self, key: tuple[object, ...], file: str, line: int, message: str, *parts: str) -> str:
        text = "\0".join([file, str(line), without_variables(message), *parts])
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=7).hexdigest()
        if len(message) <= _LONGEST_KEPT:
            if len(self.kept) >= _SPARE_ROOM:
                self.kept.clear()
            self.kept[key] = digest
        return digest


def _text(error: BaseException) -> str:
    try:
        return error.message if isinstance(error, BaseExceptionGroup) else str(error)  # str() counts the members
    except Exception:  # noqa: BLE001 - as in Fingerprints.of
        return ""


def _parts(error: BaseException) -> list[str]:
    """Return type and way of an exception, then in a fixed order those and the texts of all that it came of.

    The members of a group come in any order, and one kind of them any number of times.
    """
    first, *others = chain_of(error, _DEEPEST)
    came_of = {"\0".join([*_type_and_way(each), without_variables(_text(each))]) for each in others}
    return [*_type_and_way(first), *sorted(came_of)]


def _type_and_way(error: BaseException) -> list[str]:
    return [f"{type(error).__module__}.{type(error).__qualname__}", *_way(error)]


def _marks(errors: Sequence[BaseException]) -> list[object]:
    """Return what tells the exceptions of a chain from others as cheaply as can be: the same marks, the same parts."""
    marks: list[object] = []
    for each in errors:
        marks += (type(each), _text(each)[:_LONGEST_KEPT])
        trace = each.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            marks += (code.co_filename, code.co_firstlineno, trace.tb_lasti)
            trace = trace.tb_next
    return marks
