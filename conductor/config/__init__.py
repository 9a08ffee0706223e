"""The settings of a conductor: `settings` has them, `loading` makes them of flags and a file."""

from conductor.config.loading import load
from conductor.config.settings import (
    FETCHED_FOLDER,
    LEASE_MARGIN_SECONDS,
    PUSHED_FOLDER,
    SNAPSHOTS_FOLDER,
    Access,
    Clocks,
    Limits,
    Pushes,
    Retention,
    Settings,
)
from conductor.config.values import AGES, SIZES, read_quantity
from servicekit.host_settings import HostSetting

__all__ = [
    "AGES",
    "FETCHED_FOLDER",
    "LEASE_MARGIN_SECONDS",
    "PUSHED_FOLDER",
    "SIZES",
    "SNAPSHOTS_FOLDER",
    "Access",
    "Clocks",
    "HostSetting",
    "Limits",
    "Pushes",
    "Retention",
    "Settings",
    "load",
    "read_quantity",
]
