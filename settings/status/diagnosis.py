"""What goes wrong with the status routes themselves: codes, causes and fixes, in one table."""

from settings.problems import Diagnosis, mask_urls

_TABLE = {
    row.code: row
    for row in (
        Diagnosis(
            "shutting-down",
            "this process ends and takes no new work",
            "send requests to another process",
        ),
        Diagnosis(
            "health-unavailable",
            "the health of the services could not be told ({error})",
            "read the traceback in the log",
            transient=True,
        ),
        Diagnosis(
            "status-route-taken",
            "the application has a route {path} of its own, which is answered instead of ours",
            "set STATUS_PREFIX=/ops, or to another path that is free",
        ),
        Diagnosis(
            "status-tables-unread",
            "alerts, runs and other processes could not be read ({error}); the status page shows the last it knew",
            "see what the page says of the database",
            transient=True,
        ),
        Diagnosis(
            "snapshot-unread",
            "part of what {what} wrote could not be read ({error}) and is left out of /status and /metrics",
            "wait for the end of the deployment: another release writes it in another way",
            transient=True,
        ),
        Diagnosis(
            "alert-not-changed",
            "the alert was not changed ({error})",
            "look at the alert again, then repeat the change",
            transient=True,
        ),
        Diagnosis(
            "alert-changed-meanwhile",
            "somebody else acknowledged or resolved the alert before",
            "see on the page who looks after it",
        ),
        Diagnosis(
            "foreign-origin",
            "this came from a page of another site, or through a proxy that hides the address of this one",
            "set APP_PROXY_HOPS to the number of proxies in front, and let them pass on the Host header",
        ),
        Diagnosis(
            "wrong-token",
            "somebody at {address} tried to sign in to the status page with another token",
            "tell a colleague the right one; when it was none, let a proxy in front keep strangers out",
        ),
        Diagnosis(
            "metrics-unavailable",
            "metrics cannot be counted ({error})",
            "make room in the folder for temporary files, or name another one with TMPDIR",
        ),
        Diagnosis(
            "metrics-files-kept",
            "the counts of processes that ended could not be added up ({error}), and lie in as many files as before",
            "make room in the folder for temporary files, or name another one with TMPDIR",
        ),
        Diagnosis(
            "metrics-file-damaged",
            "{file} could not be read ({error}) and was set aside: /metrics lacks what a process had counted there",
            "see who writes in the folder for temporary files, or name another one with TMPDIR",
        ),
        Diagnosis(
            "status-no-thread",
            "no thread for {what} can be started ({error}); it is tried again with the next request",
            "raise the limit of processes of this container or user, or lower the number of threads",
            transient=True,
        ),
        Diagnosis(
            "metrics-extra-missing",
            "prometheus-client is not installed",
            'pip install "flask-twelvefactor[metrics]"',
        ),
    )
}

CODES = frozenset(_TABLE)


def diagnose(code: str, **values: object) -> Diagnosis:
    """Return the diagnosis of that code with the values in its cause, masked.

    Raises:
        KeyError: There is no such code; a defect of the caller.
    """
    row = _TABLE[code]
    return Diagnosis(code, mask_urls(row.cause.format(**values)), row.fix, row.transient)


def line(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as one line of a log or of a plain answer."""
    return f"{diagnosis.cause} [{diagnosis.code}]. Fix: {diagnosis.fix}"
