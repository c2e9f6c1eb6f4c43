"""The light door: load the settings, or learn every problem with them.

Each name is imported when it is first asked for, so that the command line can prepare the interpreter before
pydantic is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settings.loading import load_settings
    from settings.model import Settings
    from settings.problems import BootstrapError, Problem, SettingsError
    from settings.room import RoomSettings

__all__ = ["BootstrapError", "Problem", "RoomSettings", "Settings", "SettingsError", "load_settings"]
_HOMES = {
    "BootstrapError": "settings.problems", "Problem": "settings.problems", "RoomSettings": "settings.room",
    "Settings": "settings.model", "SettingsError": "settings.problems", "load_settings": "settings.loading",
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'settings' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
