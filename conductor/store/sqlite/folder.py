"""The folder that holds the database: private, and locked by one conductor at a time.

The lock is the kernel's (`flock`): it ends with its process, so it is never stale. The process id in the lock file is for people;
nothing depends on it.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from conductor.errors import DatabaseInUseError, StorageError

DATABASE_NAME = "conductor.db"
LOCK_NAME = "conductor.lock"
# The files that SQLite keeps beside a database. It would take them for those of any other database of that name.
COMPANION_NAMES = tuple(f"{DATABASE_NAME}-{suffix}" for suffix in ("wal", "shm", "journal"))


def find_database(folder: Path, option: str = "--data") -> Path:
    """Returns the path of a data folder's database, for a reader. Raises StorageError where it is missing or not readable.

    `option` is how the caller named the folder.
    """
    path = folder / DATABASE_NAME
    if not path.is_file():
        raise StorageError(f"there is no database in {folder}", hint=f"name its folder with {option}")
    if not os.access(path, os.R_OK):
        raise StorageError(
            f"the database {path} is not readable for this user", hint="run this as the conductor's user"
        )
    return path


class LockedFolder:
    """A data folder that this process has locked."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Creates the folder where it is missing, and locks it. DatabaseInUseError: another process has locked it."""
        try:
            _prepare(path)
            descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"the data folder {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise _in_use(path, holder) from error
        with suppress(OSError):  # the number only helps people, and a full disk takes none
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(path, descriptor)

    def prepare_database(self) -> Path:
        """Returns the database's path. Only its owner can read a new file, and the files that SQLite puts beside it."""
        path = self.path / DATABASE_NAME
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StorageError(f"the database {path} cannot be written: {error.strerror}") from error
        return path

    def release(self) -> None:
        """Unlocks the folder."""
        os.close(self._descriptor)


def _prepare(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    # A folder that existed before is made private only if it is evidently ours: `--data /tmp` must not close /tmp.
    names = {entry.name for entry in path.iterdir()}
    if status.st_uid == os.geteuid() and (not names or names & {DATABASE_NAME, LOCK_NAME}):
        path.chmod(0o700)


def _in_use(path: Path, holder: str) -> DatabaseInUseError:
    return DatabaseInUseError(
        f"another conductor (process {holder}) uses the data folder {path}",
        hint="stop that conductor, or give this one another folder with --data",
        metadata={"folder": str(path), "pid": holder},
    )
