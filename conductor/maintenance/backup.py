"""Backups: one file with everything that a conductor would need to go on elsewhere.

In it are the database as it was at one moment, and the snapshots that its runs keep: what evidence is checked against, and what
an attempt that begins anew is given. Not in it are settings, hosts, flows of projects, and the keys of models, which the
conductor never had.

A backup is made beside a conductor at work: it reads, and holds up nobody. The database comes first; so whatever runs it
knows, their snapshots were kept before that, and go only after it. A restored conductor has a new id. What was running in
the database is then lost to it, since hosts answer for their own conductor's executions only, and is tried again as new
attempts. So a copy that is started beside the original disturbs nothing but the hosts' time.
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
    """Backs a data folder up into a file that must not be there yet; `check_id` raises where it is the wrong conductor's."""
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
            os.link(archive, target)  # unlike a rename, it does not replace what came there meanwhile
        except FileExistsError as error:
            raise _there_already(target, " by now: another backup was made under this name at the same time") from error
    make_durable(target.parent)
    return Backup(target, target.stat().st_size, database, snapshots)


def restore_backup(source: Path, data: Path) -> Restored:
    """Restores a backup into a data folder that holds no database yet."""
    with _held(data):
        _refuse_occupied(data)
        with _workshop(data) as folder:
            made = _extract(source, folder)
            database = take_in(folder / DATABASE_NAME)
            asyncio.run(_pack_in(data, folder))
            make_durable(folder / DATABASE_NAME)
            # Last, so that a restoration that was cut short left no database, and is begun anew.
            (folder / DATABASE_NAME).rename(data / DATABASE_NAME)
        make_durable(data)
    return Restored(database.conductor_id, made, database.runs, database.unfinished_runs)


def _there_already(target: Path, how: str = " already") -> BackupError:
    return BackupError(f"{target} is there{how}", hint="give another name, as conductor-$(date +%F).tar")


def _refuse_occupied(data: Path) -> None:
    """A log that stayed behind when its database was moved away would turn what is restored back into that database."""
    if os.path.lexists(data / DATABASE_NAME):
        hint = "give another folder with --data, or move that one away"
        raise BackupError(f"{data} holds a database already", hint=hint)
    if left := [name for name in COMPANION_NAMES if os.path.lexists(data / name)]:
        hint = "give another folder with --data, or move these to where their database is"
        raise BackupError(f"{data} holds {', '.join(left)} of a database that was there", hint=hint)


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
    """The data folder, locked. One that was made for it goes when that fails, unless it holds a database by then."""
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
    """A private folder on the disk of what is to come, gone afterwards."""
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
    # Not compressed: packs are already, and whoever wants to may.
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
    """Takes the known members out, and nothing else; gives when the backup was made."""
    try:
        with tarfile.open(source, "r:") as tar:
            for name in MEMBERS:
                member = tar.getmember(name)
                if not member.isreg() or (name == MANIFEST and member.size > MAX_MANIFEST_BYTES):
                    raise BackupError(f"{source} is no backup of a conductor: {name} is no file in it, or too large")
                tar.extract(member, folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] > FORMAT:
            raise BackupError(f"{source} was made by a newer conductor", hint="restore it with that one")
        return datetime.fromisoformat(manifest["made"]).isoformat(timespec="seconds")
    except (tarfile.TarError, KeyError, ValueError, TypeError, EOFError, RecursionError) as error:
        raise BackupError(f"{source} is no backup of a conductor, or not a whole one: {error}") from error
    except OSError as error:
        raise BackupError(f"{source} cannot be read: {error.strerror or error}") from error
