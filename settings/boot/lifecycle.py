"""Where background work starts, what a fork does to it, and how a process ends.

Work starts when a server's loop is seen on a stack, or with the first real request of a server that is not
known here. A process that was forked from a serving one never starts any.
"""

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal

from settings.boot.joining import before_threads_are_joined
from settings.boot.serving import gunicorn_worker, serves_requests
from settings.forks import run_in_child, watch_forks

log = logging.getLogger(__name__)

State = Literal["idle", "serving", "inherited", "closing", "closed"]
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 60.0
LAST_WORDS_MARGIN_SECONDS, KILL_MARGIN_SECONDS = 0.7, 0.9
"""Beyond the grace time, what the closers other than the running jobs may take together: then the log says what it has
not said yet and the process ends by its signal, or by SIGKILL where the log or the main thread is stuck."""
JOIN_MARGIN_SECONDS = 0.5
"""After a job was left behind and all is closed, how long Python may still wait for threads, which may be the job's."""


class Lifecycle:
    """Starts once where requests are served, closes once, whatever ends the process.

    Args:
        start: Starts every background thread; called once in a process, and again only after it has failed.
        end_jobs: Lets the running jobs have their grace time, and says whether one was left behind; idempotent.
        close: Closes everything; must be idempotent and bounded.
        last_words: Logs what would be lost with the process, when a signal ends it before everything is closed.
        decide: True starts in this process now, False never by itself, None where requests are served.
        grace: Seconds that running jobs may go on at the end.
        takes_sigterm: Whether SIGTERM is ours to handle where nobody else does; a command leaves it alone.
        serving: Says whether this process serves; tests pass their own.
    """

    def __init__(
        self,
        *,
        start: Callable[[], None],
        end_jobs: Callable[[], bool],
        close: Callable[[], None],
        last_words: Callable[[], None] = lambda: None,
        decide: bool | None,
        grace: float,
        takes_sigterm: bool = True,
        serving: Callable[[], bool] = serves_requests,
    ) -> None:
        self._start, self._end_jobs, self._close, self._serving = start, end_jobs, close, serving
        self._last_words = last_words
        self._decide, self._grace, self._takes_sigterm = decide, grace, takes_sigterm
        self._lock = threading.RLock()  # a signal handler may close while its own thread starts
        self._ended = threading.Event()
        self._overdue = False
        self._worker: object | None = None
        self._seen_serving = False
        self._fellows: list[Lifecycle] = []
        self.state: State = "idle"

    def arm(self) -> None:
        """Start now, or watch for the moment at which this process serves; register the exits."""
        watch_forks(self)
        atexit.register(self.close)
        before_threads_are_joined(self._leave_jobs)
        self._chain_uwsgi()
        self._install_sigterm()
        if self._decide:
            self.start()
        elif self._decide is None:
            self._watch()

    def start(self) -> None:
        """Start the background work of this process, unless it runs or has ended; what fails is undone, and raised."""
        with self._lock:
            earlier = self.state
            if earlier not in ("idle", "inherited"):
                return
            self.state = "serving"
        self._worker, self._seen_serving = gunicorn_worker(), self._serving()
        try:
            self._start()
        except BaseException:
            with self._lock:
                if self.state == "serving":
                    self.state = earlier
            raise
        if self.shutting_down:  # the end came meanwhile, and found nothing to end
            self._end_jobs()

    def on_request(self, environ: dict[str, Any]) -> None:
        """Start with the first real request, for servers whose loop is not known; a test client's is none.

        A start that fails is tried again by the next one, and costs no request its answer.
        """
        if self.state != "idle" or self._decide is not None:
            return
        if "SERVER_SOFTWARE" in environ or "uwsgi.version" in environ:
            self._try_to_start()

    @property
    def shutting_down(self) -> bool:
        """Whether the end of this process has begun, by us or by the server that runs it."""
        return self.state in ("closing", "closed") or not getattr(self._worker, "alive", True)

    def close(self) -> None:
        """Close everything, once; later calls do nothing but wait for the first."""
        self._ended.set()
        with self._lock:
            if self.state != "closed":
                self.state = "closing"
        self._close()
        self.state = "closed"
        atexit.unregister(self.close)

    def _watch(self) -> None:
        self._ended = threading.Event()
        watch = threading.Thread(
            target=self._wait_for_server, args=(self._ended,), name="bootstrap-serving", daemon=True
        )
        try:
            watch.start()
        except RuntimeError as error:
            log.warning("no thread can be started (%s): background work starts with the first request", error)

    def _try_to_start(self) -> bool:
        try:
            self.start()
        except Exception as error:
            log.exception(
                "background work could not be started (%s) and is tried again [background-not-started]. Fix: where "
                "there are no more threads, raise the limit of processes of this container or user",
                error,
            )
            return False
        return True

    def _wait_for_server(self, ended: threading.Event) -> None:
        for _ in range(int(PATIENCE_SECONDS / POLL_SECONDS)):
            if self.state != "idle":
                return
            if self._serving() and self._try_to_start():
                return
            if ended.wait(POLL_SECONDS):
                return

    def _leave_jobs(self) -> None:
        """Let the jobs end before Python waits for threads: those of an executor that a job left may never end.

        Only where the process is over: what still serves, or goes on in threads that are no daemons, is waited for.
        """
        if self.state != "serving" or not self._is_over() or not self._end_jobs():
            return
        self.close()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, JOIN_MARGIN_SECONDS)
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)  # nothing had to be waited for

    def _is_over(self) -> bool:
        others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
        return not self._serving() and (self._seen_serving or all(thread.daemon for thread in others))

    def _install_sigterm(self) -> None:
        """Take SIGTERM only where nobody has but another of our kind: servers and applications keep their handlers."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if not self._takes_sigterm or not in_main_thread or "uwsgi" in sys.modules or "pytest" in sys.modules:
            return
        earlier = signal.getsignal(signal.SIGTERM)
        fellow = getattr(earlier, "__self__", None)
        if isinstance(fellow, Lifecycle):
            self._fellows = [each for each in (*fellow._fellows, fellow) if each.state != "closed"]
        if earlier is signal.SIG_DFL or isinstance(fellow, Lifecycle):
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, number: int, _frame: FrameType | None) -> None:
        """End as the signal asks: from threads of their own, since the main thread may hold any lock just now."""
        together = [self, *self._fellows]
        if any(each._overdue for each in together) or all(each.state == "closed" for each in together):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        for each in together:
            if not each.shutting_down:
                threading.Thread(target=each._end, args=(number,), name="bootstrap-end", daemon=True).start()

    def _end(self, number: int) -> None:
        """Close, then raise the signal again: the main thread then dies of it, so that the exit status says so."""
        _later(self._grace + LAST_WORDS_MARGIN_SECONDS, self._end_unclosed, number)
        _later(self._grace + KILL_MARGIN_SECONDS, os.kill, os.getpid(), signal.SIGKILL)
        self.close()
        os.kill(os.getpid(), number)

    def _end_unclosed(self, number: int) -> None:
        self._last_words()
        self._overdue = True
        os.kill(os.getpid(), number)

    def _chain_uwsgi(self) -> None:
        """UWSGI forks in C, where Python's fork hooks do not run; its own hook is chained instead."""
        if (uwsgi := sys.modules.get("uwsgi")) is None:
            return
        earlier = getattr(uwsgi, "post_fork_hook", None)

        def mend() -> None:
            run_in_child()
            if earlier is not None:
                earlier()

        uwsgi.post_fork_hook = mend  # type: ignore[attr-defined] # a module that exists only inside uWSGI

    def before_fork(self) -> None:
        """Take the lock: a fork never lands in the middle of a start."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """A child of a process that does not serve may serve itself; a child of a serving one never starts work."""
        self._lock = threading.RLock()
        if self.state == "serving":
            self.state = "inherited"
        elif self.state == "idle" and self._decide is None:
            self._watch()


def _later(seconds: float, function: Callable[..., object], *arguments: object) -> None:
    timer = threading.Timer(seconds, function, arguments)
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError as error:
        log.warning("no thread can be started (%s): the end of this process takes as long as its closing takes", error)
