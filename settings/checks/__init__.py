"""What is wrong, or dangerous, between variables each of which is right by itself."""

from settings.checks.environment import environment_problems, process_problems
from settings.checks.files import file_problems, log_file_problems
from settings.checks.placeholders import placeholder_problems
from settings.checks.production import production_problems
from settings.checks.subject import Subject
from settings.problems import Problem


def cross_problems(subject: Subject) -> list[Problem]:
    """Return every problem between variables; runs over what is valid when another value is not."""
    looks = (
        environment_problems, placeholder_problems, process_problems, file_problems, log_file_problems,
        production_problems,
    )  # fmt: skip
    return [problem for look in looks for problem in look(subject)]
