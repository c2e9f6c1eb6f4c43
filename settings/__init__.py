"""The light door: load the settings, or learn every problem with them."""

from settings.loading import load_settings
from settings.model import Settings
from settings.problems import BootstrapError, Problem, SettingsError
from settings.room import RoomSettings

__all__ = ["BootstrapError", "Problem", "RoomSettings", "Settings", "SettingsError", "load_settings"]
