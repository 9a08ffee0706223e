"""Parses the tables of a spec file that say what an agent finds in its sandbox: mounts, files, resources, a bridge.

A spec is the operator's. Nothing here could widen the sandbox beyond reading: mounts are read-only below /opt, files go into the
agent's private home, resources stay within bounds, and a bridge is a program of ours that runs inside.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agenthost.core.sandbox.policy import MIB, Resources
from servicekit.errors import shown, there_are

MAX_MOUNTS = 8
MAX_FILES = 32
MAX_FILE_BYTES = 64 * 1024
BRIDGES = ("acp", "codex", "pi")
OWN_MOUNTS = frozenset({"agent", "bridge", "packages", "program"})
_MOUNT = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_FILE = re.compile(r"(?:[A-Za-z0-9_.-]{1,80}/){0,7}[A-Za-z0-9_.-]{1,80}")
_HIDDEN = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_WORD = re.compile(r"[A-Za-z0-9_.:-]{0,80}")
# The most that a spec may ask for; the agents that need it (Bun, V8) reserve far more than they use.
HIGHEST = Resources(
    home_bytes=1024 * MIB,
    tmp_bytes=1024 * MIB,
    shm_bytes=256 * MIB,
    file_bytes=512 * MIB,
    open_files=65_536,
    processes=4_096,
    cpu_seconds=24 * 3600,
    data_bytes=1024 * 1024 * MIB,
)
_RESOURCES = frozenset(Resources.__slots__) - {"memory_bytes"}  # the host's [limits] has that


class SpecError(ValueError):
    """A spec file is wrong; the text names the place."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """A program of ours that drives the agent over a protocol and speaks jsonl for it. `mode` and `login` are the agent's names."""

    protocol: str
    mode: str = ""
    login: str = ""


def read_mounts(table: Any) -> tuple[tuple[str, str], ...]:
    """Returns (name below /opt, folder on the host); raises SpecError."""
    if not isinstance(table, Mapping) or len(table) > MAX_MOUNTS:
        raise SpecError(
            f"mounts is {shown(table)}: it must be a table of at most {MAX_MOUNTS} folders, as node = '/usr/local/lib/node'"
        )
    for name, path in table.items():
        if not _MOUNT.fullmatch(name) or name in OWN_MOUNTS:
            raise SpecError(f"mounts.{name} must match {_MOUNT.pattern} and be none of {', '.join(sorted(OWN_MOUNTS))}")
        if not isinstance(path, str) or not path or "\0" in path:
            raise SpecError(f"mounts.{name} is {shown(path)}: it must be the path of a folder")
    return tuple(sorted(table.items()))


def read_files(table: Any) -> tuple[tuple[str, str], ...]:
    """Returns (path below the agent's home, text); raises SpecError."""
    if not isinstance(table, Mapping) or len(table) > MAX_FILES:
        raise SpecError(
            f"files is {shown(table)}: it must be a table of at most {MAX_FILES} texts, as '.config/tool.json' = '''…'''"
        )
    for path, text in table.items():
        if not _FILE.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise SpecError(f"files.'{path}' must be a plain path below the agent's home, without '..'")
        if any(other.startswith(f"{path}/") for other in table):
            raise SpecError(f"files.'{path}' cannot be a file and the folder of another one")
        if not isinstance(text, str) or len(text.encode()) > MAX_FILE_BYTES:
            raise SpecError(f"files.'{path}' is {shown(text)}: it must be a text of at most {MAX_FILE_BYTES} bytes")
    return tuple(sorted(table.items()))


def read_hides(names: Any) -> tuple[str, ...]:
    """Returns the names at the root of a snapshot that the agent does not see; raises SpecError."""
    if not isinstance(names, list) or len(names) > MAX_FILES:
        raise SpecError(f"hides is {shown(names)}: it must be a list of at most {MAX_FILES} names, as ['.tool']")
    for name in names:
        if not isinstance(name, str) or not _HIDDEN.fullmatch(name) or name in {".", ".."}:
            raise SpecError(f"hides: {name!r} must be a name at the root of a snapshot, as '.tool'")
    return tuple(sorted(set(names)))


def read_resources(table: Any) -> tuple[tuple[str, int], ...]:
    """Returns the resources that the agent needs beyond the usual; raises SpecError."""
    if not isinstance(table, Mapping):
        raise SpecError(f"resources is {shown(table)}: it must be a table, as [resources]")
    for name, value in table.items():
        if name not in _RESOURCES:
            raise SpecError(f"resources.{name} is none{there_are(name, sorted(_RESOURCES))}")
        highest = getattr(HIGHEST, name)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= highest:
            raise SpecError(f"resources.{name} is {shown(value)}: it must be a whole number from 1 to {highest}")
    return tuple(sorted(table.items()))


def read_bridge(table: Any) -> Bridge | None:
    """Returns the bridge that drives the agent, None where it needs none; raises SpecError."""
    if table is None:
        return None
    if not isinstance(table, Mapping) or not set(table) <= {"protocol", "mode", "login"}:
        raise SpecError(f"bridge is {shown(table)}: it must hold 'protocol', 'mode' and 'login', and nothing else")
    if table.get("protocol") not in BRIDGES:
        raise SpecError(f"bridge.protocol is {shown(table.get('protocol'))}: it must be one of {', '.join(BRIDGES)}")
    if len(table) > 1 and table["protocol"] != "acp":
        raise SpecError(f"bridge.{min(set(table) - {'protocol'})} is for protocol = 'acp' only")
    for name in ("mode", "login"):
        if not isinstance(table.get(name, ""), str) or not _WORD.fullmatch(table.get(name, "")):
            raise SpecError(f"bridge.{name} is {shown(table[name])}: it must be a word of the agent's protocol")
    return Bridge(table["protocol"], table.get("mode", ""), table.get("login", ""))
