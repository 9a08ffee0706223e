"""Finds the folder that an installed agent has to itself, and says whether what lies there is what this release was tested with.

An agent's package.json and package-lock.json ship in `agents/cli/NAME`; the lock pins every package with its integrity hash.
"""

import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from servicekit.runtime.process import user_folder

SHIPPED = Path(__file__).parents[1] / "agents" / "cli"
VARIABLE = "AGENTHOST_AGENTS"
MARKER = "installed.json"  # written last, so that a folder without it is not whole


def agents_home() -> Path:
    """Returns the folder that holds a folder for each installed agent. A user without a home has none."""
    if named := os.environ.get(VARIABLE):
        return Path(os.path.expanduser(named)).absolute()  # noqa: PTH111 - Path's raises where there is no home
    data = user_folder("XDG_DATA_HOME", ".local/share") or Path("/nonexistent")
    return data / "agenthost" / "agents"


def prefix_of(name: str) -> Path:
    """Returns the folder of one agent, whether it is there or not."""
    return agents_home() / name


@cache
def shipped_lock(name: str) -> str:
    """Returns the digest of the packages that this release installs for an agent; nothing where it installs none."""
    try:
        files = [(SHIPPED / name / file).read_bytes() for file in ("package.json", "package-lock.json")]
    except OSError:
        return ""
    return hashlib.sha256(b"\0".join(files)).hexdigest()


def installed_lock(prefix: Path) -> str:
    """Returns the digest of the packages that were installed in a folder; nothing where none are, or not to the end."""
    try:
        marker: Any = json.loads((prefix / MARKER).read_bytes())
    except (OSError, ValueError):
        return ""
    found = marker.get("lock") if isinstance(marker, dict) else None
    return found if isinstance(found, str) else ""


TO_INSTALL = "install it: "


def missing(name: str) -> str:
    """Returns why an agent's packages cannot be used, and the command that helps; nothing where they can."""
    installed = installed_lock(prefix_of(name))
    if installed == shipped_lock(name) != "":
        return ""
    command = f"agenthost agents install {name}"
    return f"{prefix_of(name)} holds another release of it: {command}" if installed else f"{TO_INSTALL}{command}"


def packaged() -> tuple[str, ...]:
    """Returns the names of the agents that can be installed."""
    return tuple(sorted(folder.name for folder in SHIPPED.iterdir() if shipped_lock(folder.name)))
