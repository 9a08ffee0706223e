"""Keeps what a caller said of a snapshot, in a file beside its objects. The file's time is the snapshot's last use.

It goes with the objects, and is nothing without them; so it is no part of the database or of a backup.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a snapshot came from, by the words of its caller; see `conductor.v1.SnapshotOrigin`."""

    head_commit: str = ""
    dirty_paths: tuple[str, ...] = ()
    dirty_count: int = 0
    notes: tuple[str, ...] = ()
    converted_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A snapshot that was pushed, and the size of its tree."""

    snapshot: str
    origin: Origin
    file_count: int
    byte_count: int
    receive_time: float


class Records:
    """The records of one caller. Blocking, but short."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, record: Record) -> None:
        """Writes a record, in the place of an earlier one of the same snapshot."""
        self._folder.mkdir(exist_ok=True)
        place = self._place(record.snapshot)
        temporary = place.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(record)) + "\n", "utf-8", "surrogatepass")
        temporary.replace(place)

    def read(self, snapshot: str) -> Record | None:
        """Returns the record of a snapshot; None where there is none that can be read."""
        try:
            given = json.loads(self._place(snapshot).read_text("utf-8", "surrogatepass"))
            origin: dict[str, Any] = {field.name: _frozen(given["origin"][field.name]) for field in fields(Origin)}
            return Record(**{**given, "origin": Origin(**origin)})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def touch(self, snapshot: str, now: float) -> None:
        """Notes that a snapshot is used."""
        with contextlib.suppress(OSError):
            os.utime(self._place(snapshot), (now, now))

    def last_uses(self) -> Mapping[str, float]:
        """Returns when each snapshot was used last."""
        found = {}
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                found[path.stem] = path.stat().st_mtime
        return found

    def remove(self, snapshot: str) -> None:
        """Removes a record."""
        self._place(snapshot).unlink(missing_ok=True)

    def _place(self, snapshot: str) -> Path:
        return self._folder / f"{snapshot}.json"


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
