"""A boot asks for real threads."""

import sys
from types import ModuleType

import pytest

from settings.boot.threads import require_real_threads
from settings.problems import BootstrapError


def _server(name: str, question: str, *, patched: bool) -> ModuleType:
    module = ModuleType(name)
    setattr(module, question, lambda _what: patched)
    return module


@pytest.mark.parametrize(
    ("name", "question"), [("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched")]
)
def test_replaced_threads_are_refused(name: str, question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names who replaced them, and what to use instead; a package that is only imported is no obstacle."""
    monkeypatch.setitem(sys.modules, name, _server(name, question, patched=False))
    require_real_threads()
    monkeypatch.setitem(sys.modules, name, _server(name, question, patched=True))
    with pytest.raises(BootstrapError, match=name.partition(".")[0]) as caught:
        require_real_threads()
    assert "gthread" in str(caught.value)


@pytest.mark.parametrize(
    ("module", "name"), [("gunicorn.workers.ggevent", "gevent"), ("gunicorn.workers.geventlet", "eventlet")]
)
def test_a_worker_class_that_will_replace_threads_is_refused(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --preload the boot comes first: nothing is replaced yet, but the master has chosen the class."""
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    with pytest.raises(BootstrapError, match=f"worker class \\({name}\\)"):
        require_real_threads()


def test_real_threads_pass() -> None:
    """Pytest's are real."""
    require_real_threads()
    assert "gevent.monkey" not in sys.modules
