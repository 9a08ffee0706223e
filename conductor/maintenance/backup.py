"""Backups: one file with everything that a conductor needs to go on elsewhere.

It holds the database as it was at one moment, and the snapshots that its runs keep: evidence is checked against them, and later
attempts get them. It does not hold settings, hosts, project flows, or the keys of models, which the conductor never had.

A backup is made beside a conductor at work: it only reads, and delays nothing. The database is copied first: the snapshots of
each run in it were kept before that, and are released only after it. A restored conductor has a new id. Attempts that were
running are lost to it, since hosts answer only for the executions of their own conductor, and are tried again. So a copy that is
started beside the original costs only the hosts' time.
"""

import asyncio
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conductor.config import SNAPSHOTS_FOLDER
from conductor.errors import BackupError
from conductor.snapshots.storing import travelling
from conductor.snapshots.storing.history import MAX_HISTORY_COMMITS
from conductor.snapshots.storing.objects import ObjectStore
from conductor.store.sqlite.folder import COMPANION_NAMES, DATABASE_NAME, LockedFolder
from conductor.store.sqlite.upkeep.backup import CopiedDatabase, copy_out, take_in
from conductor.store.sqlite.upkeep.copying import make_durable

FORMAT = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 64 * 1024
MEMBERS = (MANIFEST, DATABASE_NAME, *travelling.FILES)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made."""

    path: Path
    bytes: int
    database: CopiedDatabase
    snapshots: int


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that was restored. `made` is when it was made."""

    conductor_id: str
    made: str
    runs: int
    unfinished_runs: int


def make_backup(data: Path, target: Path, check_id: Callable[[str], object] = str) -> Backup:
    """Makes a backup of a data folder in a new file. `check_id` raises where it is the wrong conductor's."""
    target = target.absolute()
    if os.path.lexists(target):
        raise _there_already(target)
    with _workshop(target.parent) as folder:
        database = copy_out(data, folder / DATABASE_NAME)
        check_id(database.conductor_id)
        snapshots = asyncio.run(_pack_out(data, folder))
        _write_manifest(folder, database)
        archive = folder / "archive"
        _write_archive(folder, archive)
        make_durable(archive)
        try:
            os.link(archive, target)  # unlike a rename, this does not replace a file that came there meanwhile
        except FileExistsError as error:
            raise _there_already(target, " by now: another backup wrote this file at the same time") from error
    make_durable(target.parent)
    return Backup(target, target.stat().st_size, database, snapshots)


def restore_backup(source: Path, data: Path) -> Restored:
    """Restores a backup into a data folder without a database."""
    with _held(data):
        _refuse_occupied(data)
        with _workshop(data) as folder:
            made = _extract(source, folder)
            database = take_in(folder / DATABASE_NAME)
            asyncio.run(_pack_in(data, folder))
            make_durable(folder / DATABASE_NAME)
            # Last, so that an interrupted restoration leaves no database and can be started again.
            (folder / DATABASE_NAME).rename(data / DATABASE_NAME)
        make_durable(data)
    return Restored(database.conductor_id, made, database.runs, database.unfinished_runs)


def _there_already(target: Path, how: str = " already") -> BackupError:
    return BackupError(f"{target} exists{how}", hint="give another name, such as conductor-$(date +%F).tar")


def _refuse_occupied(data: Path) -> None:
    """Refuses a folder with a database, or with the log of one, which would turn the restored database back into that one."""
    if os.path.lexists(data / DATABASE_NAME):
        hint = "give another folder with --data, or move that database away"
        raise BackupError(f"{data} holds a database already", hint=hint)
    if left := [name for name in COMPANION_NAMES if os.path.lexists(data / name)]:
        hint = "give another folder with --data, or move these files to their database"
        raise BackupError(f"{data} holds {', '.join(left)} of an earlier database", hint=hint)


async def _pack_out(data: Path, folder: Path) -> int:
    objects = _objects(data)
    if not objects.git.folder.is_dir():
        await objects.open()
    return await travelling.pack_out(objects, folder)


async def _pack_in(data: Path, folder: Path) -> None:
    objects = _objects(data)
    await objects.open()
    await travelling.pack_in(objects, folder)


def _objects(data: Path) -> ObjectStore:
    return ObjectStore((data / SNAPSHOTS_FOLDER).absolute(), MAX_HISTORY_COMMITS)


@contextmanager
def _held(data: Path) -> Iterator[None]:
    """Locks the data folder. A folder that was created for this is removed on failure, unless it holds a database by then."""
    is_new = not data.exists()
    held = LockedFolder.acquire(data)
    try:
        yield
    except BaseException:
        if is_new and not (data / DATABASE_NAME).exists():
            shutil.rmtree(data, ignore_errors=True)
        raise
    finally:
        held.release()


@contextmanager
def _workshop(parent: Path) -> Iterator[Path]:
    """Makes a private folder on the target's disk, and removes it afterwards."""
    try:
        with tempfile.TemporaryDirectory(prefix=".conductor-", dir=parent) as name:
            yield Path(name)
    except OSError as error:
        raise BackupError(f"{parent} cannot be written: {error.strerror or error}") from error


def _write_manifest(folder: Path, database: CopiedDatabase) -> None:
    made = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = {"format": FORMAT, "made": made, **asdict(database)}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def _write_archive(folder: Path, archive: Path) -> None:
    # Not compressed: packs are already.
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in MEMBERS:
            tar.add(folder / name, name, filter=_anonymous)
            (folder / name).unlink()
    archive.chmod(0o600)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _extract(source: Path, folder: Path) -> str:
    """Extracts the known members and nothing else; returns when the backup was made."""
    try:
        with tarfile.open(source, "r:") as tar:
            for name in MEMBERS:
                member = tar.getmember(name)
                if not member.isreg() or (name == MANIFEST and member.size > MAX_MANIFEST_BYTES):
                    raise BackupError(
                        f"{source} is not a conductor's backup: its member {name} is not a file, or too large"
                    )
                tar.extract(member, folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] > FORMAT:
            raise BackupError(f"{source} was made by a newer conductor", hint="restore it with that version")
        return datetime.fromisoformat(manifest["made"]).isoformat(timespec="seconds")
    except (tarfile.TarError, KeyError, ValueError, TypeError, EOFError, RecursionError) as error:
        raise BackupError(f"{source} is not a conductor's backup, or is incomplete: {error}") from error
    except OSError as error:
        raise BackupError(f"{source} cannot be read: {error.strerror or error}") from error
