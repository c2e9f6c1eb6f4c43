"""The log of a process: one loguru sink for everything, in which each error is complete once and counted after."""

import atexit
import logging
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from contextvars import Context
from dataclasses import replace
from typing import Any, Protocol, TextIO

from loguru import logger

from settings.forks import watch_forks
from settings.logs.about import Call, Describer
from settings.logs.bridge import Bridge
from settings.logs.context import Bound
from settings.logs.diagnosis import DESTINATION, UNREADABLE, explained
from settings.logs.fingerprint import Fingerprints, own_fingerprint
from settings.logs.levels import CRITICAL, ERROR, NUMBERS, Levels, number_of
from settings.logs.limiter import ErrorRateLimiter, RepeatedError
from settings.logs.masking import Masker, text_of
from settings.logs.model import LogsSettings
from settings.logs.output import Destination, LogFile, Output, Stream, last_resort
from settings.logs.render import JsonLines, Lines, TextLines
from settings.logs.storms import Storms
from settings.logs.turns import TURNS
from settings.probe import Fact, HealthStatus, Reading


class Application(Protocol):
    """What is used of a Flask application."""

    @property
    def logger(self) -> logging.Logger:
        """The application's own stdlib logger."""


class Logs:
    """The log of this process. Thread-safe; a forked child goes on with counts of its own.

    Of several that are open in one process the newest handles everything, until it closes: one record is one line,
    counted once. The older ones wait, their counts standing still.

    Attributes:
        limiter: Decides which repeated errors are logged.
        levels: What is shown of which logger.
        bridge: Takes the records of the standard library.

    Args:
        settings: LOG_.
        lines: Makes a line of a record.
        masker: Takes the secrets out of examples.
        output: Where lines go.
    """

    def __init__(self, settings: LogsSettings, *, lines: Lines, masker: Masker, output: Output) -> None:
        self._lines, self._masker, self._output = lines, masker, output
        self._format, self._limit_from = settings.format, number_of(settings.limit_level)
        self.limiter = ErrorRateLimiter(
            per_minute=settings.errors_per_minute,
            max_fingerprints=settings.max_fingerprints,
            describe=Describer(masker),
            on_hold=lambda first: self._storms.begin(first),
        )
        self._storms = Storms(summaries=self.limiter.summaries, say=self._say, interval=settings.summary_interval)
        fingerprints = Fingerprints()
        self._should_log = self.limiter.should_log
        self._fingerprint, self._kept = fingerprints.of, fingerprints.kept
        self.levels = Levels(settings.level, settings.levels)
        self.bridge = Bridge(self._limit_from, self.levels, fingerprints, self._should_log)
        self._lock, self._closed = threading.RLock(), False
        self._sinks: list[int] = []
        self._covered = sys.maxsize
        TURNS.enter(self)
        atexit.register(self.close)
        watch_forks(self, last=True)
        watch_forks(output, last=True)

    def bound(self, **fields: object) -> Bound:
        """Return a `with` block whose log lines bear these fields; each is turned to text when a line is written."""
        return Bound(fields)

    def instrument(self, app: Application) -> None:
        """Let the application's own logger, which tells of a request that failed, end here too."""
        TURNS.take(app.logger)

    def set_level(self, level: str, logger: str | None = None) -> None:
        """Change the lowest level that is shown, of everything or of one logger and all below it, from now on.

        It counts for every log that is open in this process. Does nothing once this one is closed: the levels are
        somebody else's again.

        Raises:
            ValueError: There is no such level.
        """
        TURNS.set_level(self, level, logger)

    def error(self, message: object, *, exception: BaseException | None = None, **fields: object) -> None:
        """Log an error; one that is held back costs a tenth of what it costs through loguru.

        Args:
            message: The text; braces in it are only braces.
            exception: What was raised, for its traceback.
            fields: Put on the line.
        """
        caller, message = sys._getframe(1), message if isinstance(message, str) else text_of(message)
        mark: dict[str, object] = {}
        if self._limit_from <= ERROR >= self.levels.of(caller.f_globals.get("__name__")):
            call = Call(caller.f_code.co_filename, caller.f_lineno, message, exception)
            own = fields.get("fingerprint")
            fingerprint = own_fingerprint(own) if own else self._fingerprint(*call)
            if not self._should_log(fingerprint, call):
                return
            mark = {"fingerprint": fingerprint, "decided": True}
        log = logger.bind(**fields).patch(lambda record: record.update(mark))  # type: ignore[typeddict-item] # loguru's Record takes no keys of others
        log.opt(depth=1, exception=exception).error(message)

    def start(self) -> None:
        """Start the timer of the summaries now; without this it starts when the first error is held back."""
        self._storms.start()

    def repeated(self, limit: int = 20) -> Sequence[RepeatedError]:
        """Return the errors that this process saw more than once, the most frequent first."""
        return [replace(each, fingerprint=self._masker(each.fingerprint)) for each in self.limiter.repeated(limit)]

    def figures(self) -> Mapping[str, Fact]:
        """Return the counts of this process: seen, logged, suppressed, fingerprints, destination_failures."""
        return {**self.limiter.statistics(), "destination_failures": sum(self._output.failures.values())}

    def reading(self) -> Reading:
        """Return how logging itself is: unhealthy while a destination cannot be written to."""
        names = " and ".join(each.name for each in self._output.destinations)
        detail = f"{self._format} to {names}"
        if not (failing := dict(self._output.failing)):
            return Reading(HealthStatus.HEALTHY, detail, facts=self.figures())
        name, error = next(iter(failing.items()))
        cause = DESTINATION.cause.format(target=name, error=error)
        return Reading(HealthStatus.UNHEALTHY, detail, DESTINATION.code, cause, DESTINATION.fix, self.figures())

    def tell_rest(self) -> None:
        """Log the last summaries, and hold nothing back from now on: for a process that ends before it can close."""
        for summary in self.limiter.close():
            self._storms.tell(summary)

    def close(self) -> None:
        """Log the last summaries and let the newest log that is still open go on; further calls do nothing.

        The last one puts back what was there before. Late lines, and what nobody catches, are masked even then.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        self._storms.stop()
        self.tell_rest()
        TURNS.leave(self)
        self._output.close()

    def before_fork(self) -> None:
        """Take no lock: the one of this object is held while loguru's is taken, which a fork has by now."""

    def after_fork_in_parent(self) -> None:
        """Change nothing."""

    def after_fork_in_child(self) -> None:
        """Tell the child's own last summaries when it ends, a child of multiprocessing too, which runs no atexit."""
        self._lock = threading.RLock()
        if (processes := sys.modules.get("multiprocessing.util")) is not None:
            processes.register_after_fork(self, lambda logs: processes.Finalize(None, logs.close, exitpriority=0))

    def cover(self) -> None:
        """See to it that loguru hands over everything that may be shown.

        A further sink takes what lies below the earlier ones: to replace one would lose a record.
        """
        lowest, self._all_from = self.levels.lowest, self.levels.all_from
        if lowest < self._covered:
            self._covered = lowest
            number = logger.add(
                _nowhere, level=lowest, format="", filter=self._take, backtrace=False, diagnose=False, catch=False
            )
            self._sinks.append(number)

    def uncover(self) -> None:
        """Let loguru hand over nothing any more."""
        self._covered = sys.maxsize
        while self._sinks:
            _remove(self._sinks.pop())

    def _take(self, record: Any) -> bool:  # noqa: ANN401 - loguru's own Record exists only in its stub
        """Decide on a record of loguru's and write it; leave nothing to loguru.

        Loguru would render the traceback once more, write what `opt(raw=True)` gives as it is, secrets too, and hold a
        lock for which a signal handler or finalizer that logs gets a RuntimeError. What another sink of ours has had is
        passed over.
        """
        if "taken" in record:
            return False
        record["taken"] = True
        if "decided" not in record:
            number = record["level"].no
            if number < self._all_from and number < self.levels.of(record["name"]):
                return False
            if self._limit_from <= number < CRITICAL:
                extra, found = record["extra"], record["exception"]
                own = extra and extra.get("fingerprint")
                file, line, message = record["file"].path, record["line"], record["message"]
                fingerprint = (
                    (own and own_fingerprint(own))
                    or (found is None and self._kept.get((file, line, message)))
                    or self._fingerprint(file, line, message, None if found is None else found.value)
                )
                if not self._should_log(fingerprint, record):
                    return False
                record["fingerprint"] = fingerprint
        line = self._line(record)
        self._output.write(line)
        if record["level"].no >= CRITICAL and self._output.unheard:
            last_resort(line.rstrip("\n"))  # it may say why the process ends
        return False

    def _line(self, record: dict[str, Any]) -> str:
        try:
            return self._lines(record)
        except Exception as error:  # noqa: BLE001 - a line that says so, not an error where something is logged
            raised = "" if (found := record["exception"]) is None else f" ({found.type}: {text_of(found.value)})"
            why = explained(UNREADABLE, error=type(error).__name__)
            bare: dict[str, object] = {"message": f"{record['message']}{raised}: {why}", "extra": {}, "exception": None}
            return Context().run(self._lines, {**record, **bare})  # without the fields that are bound here

    def _say(self, level: str, message: str, fields: Mapping[str, object]) -> None:
        def ours(record: Any) -> None:  # noqa: ANN401 - as above
            record.update(name=__package__, function="", line=0, repeated=fields, decided=True)

        try:
            logger.patch(ours).log(level if level in NUMBERS else "ERROR", message)
        except Exception as error:  # noqa: BLE001 - of a sink of the application's: the next summary must not go with it
            last_resort(f"{message} [said here because a sink raised {type(error).__name__}]")


def _nowhere(_text: str) -> None: ...


def _remove(number: int) -> None:
    try:
        logger.remove(number)
    except ValueError:
        return  # the application has removed all sinks


def configure_logs(
    settings: LogsSettings,
    *,
    app_name: str,
    environment: str,
    stream: TextIO | None = None,
    secrets: Collection[str] = frozenset(),
) -> Logs:
    """Let everything that this process logs end in one place, and return it.

    Where a log is open already, as with two applications in one process, the new one takes its turn: everything goes to
    its destinations by its levels, until it closes. Each masks the secrets of all.

    Args:
        settings: LOG_.
        app_name: APP_NAME, in each line.
        environment: APP_ENV, in each line.
        stream: Where lines go; None is standard output.
        secrets: Values that are masked wherever they stand.
    """
    masker = TURNS.masker(secrets)
    make = JsonLines if settings.format == "json" else TextLines
    destinations: list[Destination] = [Stream(stream)]
    if settings.file is not None:
        destinations.append(LogFile(settings.file))
    return Logs(settings, lines=make(app_name, environment, masker), masker=masker, output=Output(destinations))
