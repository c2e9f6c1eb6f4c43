"""Problems, diagnoses and errors: what went wrong, why, and what to do, with every secret masked."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
SHORT_SECRET = 12
SHORTEST_VALUE = 8
ADVISED = "<password>"
"""What our own advice writes in place of a password."""
_WORD = r"(?<![A-Za-z0-9_]){}(?![A-Za-z0-9_])"
Severity = Literal["error", "warning", "notice"]

# ADVISED is no password, where no other @ follows.
_USERINFO = (
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^:/?#\s@]*):"
    r"(?!<password>@{other}*{end})(?P<password>{anything})@"
)
# In these a name without a password is a password, or a token, that was put in its place.
_ALONE = r"(?i)^(?P<scheme>(?:rediss?|unix|redis\+socket|wss?|https?|sqs)://)(?P<alone>[^:/?#@]+)@"
_HIDDEN_OPTION = (
    r"(?i)(?P<name>[?&;](?:[\w.-]*(?:password|passwd|pwd|passfile|secret|token|api_?key|access_?key|signature|sslkey)"
    r"|(?:x[-_])?(?:auth|authorization|bearer|code|credentials?|jwt|key|session|session_?id|sig))=)"
    r"(?P<value>{anything})"
)
# A gateway may give its secret any name.
_GATEWAY_QUERY = r"(?is)^(?P<gateway>wss?://[^?]*\?)(?P<name>[^=&]*=)?(?P<value>.+)"
_SCHEME_ALONE = r"(?i)(?:postgres|postgresql|sqlite|redis|rediss|unix|ws|wss|amqp|amqps)(?:\+\w+)?(?::/?)?"
# In running text a URL ends at white space or a quote. In a text that is one URL, a secret that was not encoded may
# hold anything, an & too: what stands behind a secret option is hidden with it.
_ONE_USERINFO = _USERINFO.format(anything="(?s:.*)", other="[^@]", end="$")
_USERINFO_HEAD = re.compile(r"[A-Za-z0-9+.-]://(?=([^:/?#\s@]*:))")
_END_OF_URL = re.compile(r"[\s'\"]|\Z")
_HIDDEN_OPTIONS = re.compile(_HIDDEN_OPTION.format(anything=r"[^&\s'\"#]*"))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or looks wrong, with one environment variable.

    Attributes:
        variable: The variable's own name, such as `DATABASE_URL`.
        severity: `error` stops a strict boot, `warning` counts with `--strict`, `notice` never counts.
        code: Stable kebab-case word, such as `invalid-port`.
        message: What is wrong with this value, masked, without the variable's name in front.
        fix: Something to paste or to do.
        source: Where the value came from: `environment`, `.env:12`, `DATABASE_URL_FILE=/run/secrets/db`, `default`.
    """

    variable: str
    severity: Severity
    code: str
    message: str
    fix: str
    source: str = "environment"

    def __str__(self) -> str:
        return f"{self.variable}: {self.message} [{self.code}, from {self.source}]\n    fix: {self.fix}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why something failed and what to do.

    Attributes:
        code: Stable kebab-case word, unique in the project.
        cause: What happened, masked; a sentence without its full stop.
        fix: What a person should do; a sentence without its full stop.
        transient: Whether the fault can pass by itself, so that a retry is worth something.
    """

    code: str
    cause: str
    fix: str
    transient: bool = False


class SettingsError(ValueError):
    """The settings cannot be used; carries every problem that was found, not only the first.

    Attributes:
        problems: All problems of the run, warnings and notices too, in the order of the report.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        errors = [str(problem) for problem in self.problems if problem.severity == "error"]
        return "\n".join([f"{len(errors)} invalid setting{'s' * (len(errors) != 1)}", *errors])

    def __repr__(self) -> str:
        return f"SettingsError({', '.join(f'{p.variable}: {p.code}' for p in self.problems)})"


class BootstrapError(Exception):
    """A step of the boot failed.

    It is no RuntimeError: gunicorn ends a process with status 1 for any of those, and a worker that ends so is
    started again for ever.

    Attributes:
        variable: The environment variable that names what failed, such as `DATABASE_URL`.
        target: What it points to, masked.
        diagnosis: Cause and fix.
    """

    def __init__(self, variable: str, target: str, diagnosis: Diagnosis) -> None:
        super().__init__(variable, target, diagnosis)
        self.variable, self.target, self.diagnosis = variable, target, diagnosis

    def __str__(self) -> str:
        target = f" ({self.target})" if self.target else ""
        return f"{self.variable}{target}: {self.diagnosis.cause} [{self.diagnosis.code}]\n    fix: {self.diagnosis.fix}"


def mask_urls(text: str) -> str:
    """Return `text` with the password of every URL in it, and every secret query parameter, masked."""
    masked = _without_passwords(text) if "://" in text else text
    return _HIDDEN_OPTIONS.sub(rf"\g<name>{MASK}", masked)


def _without_passwords(text: str) -> str:
    """Return `text` with what stands between a URL's user and its last @ masked.

    In one pass: texts are logged that others have made, and a pattern for all of it takes minutes for some.
    """
    parts, done, end, last = list[str](), 0, -1, -1
    for head in _USERINFO_HEAD.finditer(text):
        begin = head.end(1)
        if begin > end and (found := _END_OF_URL.search(text, begin)) is not None:
            end = found.start()
            last = text.rfind("@", begin, end)
        if begin <= last and begin > done and text[begin:last] != ADVISED:
            parts += (text[done:begin], MASK)
            done = last
    return "".join([*parts, text[done:]])


def mask_url(url: str) -> str:
    """Return one URL, all of the text, with its password and every secret query parameter masked.

    A name without a password is masked too, but for a database's user; of a WebSocket's URL nothing is left behind
    the first parameter's name.
    """
    masked = re.sub(_ONE_USERINFO, rf"\g<scheme>\g<user>:{MASK}@", url)
    masked = re.sub(_ALONE, rf"\g<scheme>{MASK}@", masked)
    masked = re.sub(_GATEWAY_QUERY, rf"\g<gateway>\g<name>{MASK}", masked)
    return re.sub(_HIDDEN_OPTION.format(anything="(?s:.*)"), rf"\g<name>{MASK}", masked)


def url_secrets(text: str) -> set[str]:
    """Return what must not be shown of a secret text: all of it, or, of a URL, its password and secret options.

    Each as it is written and as it is meant, percent-encoding undone.
    """
    if "://" not in text:
        return set() if re.fullmatch(_SCHEME_ALONE, text) else {text}
    found = [each["password"] for each in re.finditer(_ONE_USERINFO, text)]
    found += [each["alone"] for each in re.finditer(_ALONE, text)]
    found += [each["value"] for each in re.finditer(_HIDDEN_OPTION.format(anything="(?s:.*)"), text)]
    # A short one, such as a version, would blot out words that merely hold it.
    behind = [each["value"] for each in re.finditer(_GATEWAY_QUERY, text)]
    found += [value for each in behind for value in re.split(r"&(?:[^=&]*=)?", each) if len(value) >= SHORTEST_VALUE]
    found += [each.partition("&")[0] for each in found]
    return {spelling for each in found for spelling in (each, unquote(each), unquote_plus(each)) if spelling}


def spellings(secret: str) -> set[str]:
    """Return the ways in which `secret` may be written: as it is, percent-encoded, and as Python shows it.

    SQLAlchemy encodes all but blanks and plus signs.
    """
    raw = secret.encode("utf-8", "surrogatepass")  # the environment may hold bytes that are no UTF-8
    encoded = {quote(raw, safe=safe) for safe in ("", "/", " +")}
    return {secret, *encoded, quote_plus(raw), repr(secret)[1:-1]}


def mask_secrets(text: str, secrets: Collection[str]) -> str:
    """Return `text` with every one of `secrets`, in each of its spellings, and every URL's password masked."""
    every = {spelling for secret in secrets if secret for spelling in spellings(secret)}
    return mask_urls(re.sub(either(every), MASK, text) if every else text)


def either(spelt: Collection[str]) -> str:
    """Return a regular expression for any of these texts, the longest first.

    A short one of letters and digits counts only as a word of its own: a password `postgres` must not take
    `postgresql` apart, nor one of a single letter every line that is logged.
    """
    ordered = sorted(spelt, key=len, reverse=True)
    return "|".join(_WORD.format(re.escape(each)) if _is_short_word(each) else re.escape(each) for each in ordered)


def _is_short_word(text: str) -> bool:
    return len(text) < SHORT_SECRET and text.isalnum()
