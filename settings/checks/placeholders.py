"""Values that were copied from an example and never filled in."""

import re
from collections.abc import Iterator

from settings.checks.subject import Subject
from settings.problems import Problem, Severity

_EXPANSION = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"
_WORDS = r"change[-_ ]?me|changeit|fixme|todo|replace[-_ ]?me|your[-_][a-z_-]+|x{4,}|\*{3,}"
_WHOLE = rf"(?i){_WORDS}|<[^<>]+>"
_IN_A_URL = rf"(?i)(?<=[/:@])({_WORDS}|<[^<>@/]+>)(?=[:@/?]|$)"


def placeholder_problems(subject: Subject) -> Iterator[Problem]:
    """Yield every value that still holds `${OTHER}`, `<placeholder>` or `changeme`.

    It is an error where the application is served, and where the value cannot be used anyway.
    """
    for model in subject.models.values():
        for field in type(model).model_fields:
            variable = model.variable(field)
            text = subject.sources.text(variable)
            found = None if text is None else _kind(text)
            if found is not None:
                message, fix = found
                severity: Severity = "error" if subject.live or variable in subject.failed else "warning"
                yield subject.problem(variable, severity, "placeholder", message, fix.format(variable))


def _kind(text: str) -> tuple[str, str] | None:
    if re.search(_EXPANSION, text):
        message = "it still holds ${…}, which is expanded in .env files only, where the other name is set"
        return message, "set {} to the value itself"
    if re.fullmatch(_WHOLE, text) or ("://" in text and re.search(_IN_A_URL, text)):
        return "it still holds a placeholder from an example, or a mask", "set {} to a value of your own"
    return None
