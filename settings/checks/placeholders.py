"""Values that were copied from an example and never filled in."""

import re
from collections.abc import Iterator

from settings.checks.subject import Subject
from settings.fields import is_secret
from settings.problems import Problem, Severity

_EXPANSION = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"
_WORDS = r"change[-_ ]?me|changeit|replace[-_ ]?me|your[-_][a-z_-]+|\*{3,}"
_NAMES = r"fixme|todo|x{4,}"
"""What an application, a user or a database may be called: a placeholder only where a secret or a number belongs."""
_WHOLE = rf"(?i){_WORDS}|<[^<>]+>"
_IN_A_URL = rf"(?i)(?<=[/:@])({_WORDS}|<[^<>@/]+>)(?=[:@/?]|$)|(?<=:)({_NAMES})(?=@)"


def placeholder_problems(subject: Subject) -> Iterator[Problem]:
    """Yield every value that still holds `${OTHER}`, `<placeholder>` or `changeme`.

    It is an error where the application is served, and where the value cannot be used anyway.
    """
    for model in subject.models.values():
        for field, info in type(model).model_fields.items():
            variable = model.variable(field)
            text = subject.sources.text(variable)
            names = variable not in subject.failed and not is_secret(field, info)
            found = None if text is None else _kind(text, may_be_a_name=names)
            if found is not None:
                message, fix = found
                severity: Severity = "error" if subject.live or variable in subject.failed else "warning"
                yield subject.problem(variable, severity, "placeholder", message, fix.format(variable))


def _kind(text: str, *, may_be_a_name: bool) -> tuple[str, str] | None:
    if re.search(_EXPANSION, text):
        message = "it still holds ${…}, which is expanded in .env files only, where the other name is set"
        return message, "set {} to the value itself"
    whole = _WHOLE if may_be_a_name else f"{_WHOLE}|{_NAMES}"
    if re.fullmatch(whole, text) or ("://" in text and re.search(_IN_A_URL, text)):
        return "it still holds a placeholder from an example, or a mask", "set {} to a value of your own"
    return None
