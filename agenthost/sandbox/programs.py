"""Looks for the programs of agents where their sandbox will have them: in its PATH, in the folders that it is given, in /usr."""

import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from agenthost.core.sandbox.policy import SANDBOX_PATH

SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/")
UNKNOWN_YET = ("/workspace/", "/home/agent/", "/tmp/", "/dev/shm/")  # noqa: S108 - what lies there comes with an attempt

BESIDE_US = ("/usr/local/bin", "/usr/bin", "/bin")


def host_program(name: str) -> Path | None:
    """Returns the file of a program that the host has: beside its own commands, as packages put it there, or of the system."""
    for folder in (sysconfig.get_path("scripts"), *BESIDE_US):
        place = Path(folder, name)
        if place.is_file() and os.access(place, os.X_OK):
            return place.resolve()
    return None


def absent(program: str, folders: Mapping[str, Path], path: str = "") -> str:
    """Returns why a program cannot be started in a sandbox with these folders; nothing where it can, or may be.

    `path` is the agent's own PATH, where its spec sets one.
    """
    if "/" not in program:
        return _not_in_path(program, folders, path or SANDBOX_PATH)
    if not program.startswith("/") or program.startswith(UNKNOWN_YET):
        return ""
    place = _on_host(program, folders)
    if place is None:
        return f"{program} is outside of what an agent sees: /usr, and its install and mounts below /opt"
    return "" if os.access(place, os.X_OK) and place.is_file() else f"{place} is no program that can be started"


def _not_in_path(program: str, folders: Mapping[str, Path], path: str) -> str:
    places = [(entry, _on_host(f"{entry}/{program}", folders)) for entry in path.split(":")]
    found = any(place is not None and shutil.which(place) for _, place in places)
    return "" if found else f"the program '{program}' was not found in {path}: install it there"


def _on_host(program: str, folders: Mapping[str, Path]) -> Path | None:
    """Returns where a path of the sandbox is on the host; None where the sandbox has nothing of the host."""
    for place, folder in folders.items():
        if program.startswith(f"{place}/"):
            return folder / program.removeprefix(f"{place}/")
    return Path(program) if program.startswith(SYSTEM) else None
