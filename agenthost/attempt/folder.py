"""Stores what the daemon knows of an attempt in its folder: the Start, its conductor, the secrets to mask.

The folder is durable before anything is spawned, so that a daemon that dies in between finds what it began. The result files are
in `records`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agenthost.attempt.records import read_object
from agenthost.core.damage import DamagedError, is_shortage
from agenthost.core.output.dialects.table import DIALECTS
from agenthost.core.output.revisions import FIRST, KEPT, LATEST, Revisions
from agenthost.system.files import sync_folder, write_file


@dataclass(frozen=True, slots=True)
class StoredStart:
    """A Start as it came, serialized, its conductor, and the boot of the machine that it came in; empty where that is not known."""

    conductor: str
    start: bytes
    snapshot_fingerprint: str
    boot_id: str = ""
    dialect: str = ""  # the agent's; its spec may name another after an update


class AttemptFolders:
    """Keeps all attempts' folders below the data directory, named by the hash of the execution's id: socket paths are short."""

    def __init__(self, root: Path, boot_id: str = "") -> None:
        self._root = root
        self._boot_id = boot_id
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path_of(self, execution: str) -> Path:
        """Returns the folder of an attempt."""
        return self._root / hashlib.sha256(execution.encode()).hexdigest()[:24]

    def create(self, execution: str, stored: StoredStart) -> None:
        """Makes the folder and waits until it is on the disk. Blocking."""
        folder = self.path_of(execution)
        folder.mkdir(mode=0o700, parents=True)  # the parent may have been removed by hand; that ends its attempts only
        write_file(folder / "start", stored.start)
        about = {
            "conductor": stored.conductor,
            "snapshot_fingerprint": stored.snapshot_fingerprint,
            "boot_id": self._boot_id,
            "revisions": asdict(LATEST),
            "dialect": stored.dialect,
        }
        write_file(folder / "owner.json", json.dumps(about).encode())
        sync_folder(self._root)

    def outlived_boot(self, stored: StoredStart) -> bool:
        """Tells whether the machine was booted since: a power cut may then have taken what tells that an agent ran."""
        return stored.boot_id not in {"", self._boot_id}

    def remove(self, folder: Path) -> None:
        """Deletes a folder. Its name goes first, so that a half-deleted one is never taken for an attempt.

        Blocking. Idempotent.
        """
        doomed = folder.with_name(f".{folder.name}.{os.getpid()}")
        try:
            folder.rename(doomed)
        except FileNotFoundError:
            return
        shutil.rmtree(doomed, ignore_errors=True)

    def leftovers(self) -> list[tuple[Path, StoredStart | None]]:
        """Returns the folders that an earlier daemon left, each with its Start; None where nothing was begun. Blocking."""
        for doomed in self._root.glob(".*"):
            shutil.rmtree(doomed, ignore_errors=True)
        return [(folder, _read(folder)) for folder in sorted(self._root.iterdir()) if folder.is_dir()]


def remembered_secrets(folder: Path, values: Sequence[str]) -> tuple[str, ...]:
    """Returns the values to mask in an attempt's output: those that were known when its output was first read.

    With others (a key may have been changed meanwhile), a replay after a restart would make other frames. Raises DamagedError where
    they cannot be read any more: then no output may be sent. Blocking.
    """
    file = folder / "secrets.json"
    if file.exists():
        return _read_secrets(file)
    if not values or (folder / "cuts").exists():
        return ()
    write_file(file, json.dumps(list(values)).encode())
    return tuple(values)


def read_revisions(folder: Path) -> Revisions:
    """Returns the revisions that an attempt's output was first read with: the first where its folder names none.

    Raises DamagedError where this daemon lacks them. Blocking.
    """
    owner = read_object(folder / "owner.json") or {}
    named = owner.get("revisions", asdict(FIRST))
    for revisions in KEPT:
        if named == asdict(revisions):
            return revisions
    raise DamagedError(f"owner.json: the output was read with {named}, which this agenthost does not have")


def read_dialect(folder: Path) -> str:
    """Returns the dialect that an attempt's agent was started with; empty where its folder names none.

    Raises DamagedError where this daemon lacks it. Blocking.
    """
    named = (read_object(folder / "owner.json") or {}).get("dialect", "")
    if named and named not in DIALECTS:
        raise DamagedError(f"owner.json: the output is in dialect '{named}', which this agenthost does not have")
    return str(named)


def _read_secrets(file: Path) -> tuple[str, ...]:
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        if is_shortage(error):
            raise
        raise DamagedError("secrets.json: it cannot be read") from error
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DamagedError("secrets.json: it does not hold a list of strings")
    return tuple(values)


def _read(folder: Path) -> StoredStart | None:
    try:
        owner = read_object(folder / "owner.json")
        start = (folder / "start").read_bytes()
    except (OSError, DamagedError) as error:
        if is_shortage(error):  # a folder without a Start is deleted
            raise
        return None
    match owner:
        case {"conductor": str(conductor), "snapshot_fingerprint": str(fingerprint), **others}:
            return StoredStart(conductor, start, fingerprint, str(others.get("boot_id", "")))
        case _:
            return None
