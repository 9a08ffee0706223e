"""The parts of a snapshot: listed paths, the items read from them, and the paths that had to be left out.

Plain values; nothing here reads or writes.
"""

import hashlib
from dataclasses import dataclass, field

from servicekit import snapshot_rules

FILE, PROGRAM = snapshot_rules.FILE, snapshot_rules.PROGRAM
LINK, SUBMODULE = snapshot_rules.LINK, snapshot_rules.SUBMODULE
NOTED_PATHS = 5


@dataclass(frozen=True, slots=True)
class Listed:
    """A path that may belong to the snapshot. `mode` and `oid` are those of git's index, empty for a path that it does not know."""

    path: bytes
    mode: str = ""
    oid: str = ""
    is_sparse: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A path that belongs to the snapshot. `data` is its content, or None where its id is enough."""

    path: bytes
    mode: str
    oid: str
    data: bytes | None = None


@dataclass(slots=True)
class LeftOut:
    """The paths that are not in the snapshot, or not as they should be, by reason."""

    paths: dict[str, list[bytes]] = field(default_factory=dict)
    in_full: set[str] = field(default_factory=set)

    def add(self, reason: str, path: bytes, *, in_full: bool = False) -> None:
        """Adds a path. `in_full`: the notes name all paths of this reason; the caller keeps them few."""
        self.paths.setdefault(reason, []).append(path)
        if in_full:
            self.in_full.add(reason)

    def notes(self) -> tuple[str, ...]:
        """Returns a sentence for each reason, with a few of its paths."""
        return tuple(self._note(reason, paths) for reason, paths in sorted(self.paths.items()))

    def _note(self, reason: str, paths: list[bytes]) -> str:
        noted = len(paths) if reason in self.in_full else NOTED_PATHS
        names = ", ".join(map(shown, sorted(paths)[:noted]))
        return f"{reason}: {len(paths)} ({names}{', …' if len(paths) > noted else ''})"


def shown(path: bytes) -> str:
    """Returns a path as text; undecodable bytes and control characters are escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def blob_id(data: bytes) -> str:
    """Returns git's id of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
