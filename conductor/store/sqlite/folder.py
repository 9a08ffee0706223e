"""The folder that holds the database: private, and one conductor's at a time.

The lock is the kernel's (`flock`): it goes when its process goes, however that ends, so nothing stale is ever left. The
process id in the lock file is for people; nothing decides by it.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from conductor.errors import DatabaseInUseError, StorageError

DATABASE_NAME = "conductor.db"
LOCK_NAME = "conductor.lock"
# What SQLite keeps beside a database. Without theirs, it takes them for those of whatever database it finds there next.
COMPANION_NAMES = tuple(f"{DATABASE_NAME}-{suffix}" for suffix in ("wal", "shm", "journal"))


def find_database(folder: Path) -> Path:
    """Gives the database of a data folder to whoever only reads it. StorageError where there is none for them."""
    path = folder / DATABASE_NAME
    if not path.is_file():
        raise StorageError(f"there is no database in {folder}", hint="name its folder with --data")
    if not os.access(path, os.R_OK):
        raise StorageError(f"the database {path} is not yours to read", hint="call this as the conductor's user")
    return path


class LockedFolder:
    """A data folder held by this process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Makes the folder where it is missing, and takes its lock. DatabaseInUseError where another process holds it."""
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
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(path, descriptor)

    def prepare_database(self) -> Path:
        """Gives the database's path; a new file is readable by its owner only, and so are those that SQLite puts beside it."""
        path = self.path / DATABASE_NAME
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StorageError(f"the database {path} cannot be written: {error.strerror}") from error
        return path

    def release(self) -> None:
        """Lets go of the folder."""
        os.close(self._descriptor)


def _prepare(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    # A folder that was there before is made private only when it is evidently ours: `--data /tmp` must not close /tmp.
    names = {entry.name for entry in path.iterdir()}
    if status.st_uid == os.geteuid() and (not names or names & {DATABASE_NAME, LOCK_NAME}):
        path.chmod(0o700)


def _in_use(path: Path, holder: str) -> DatabaseInUseError:
    return DatabaseInUseError(
        f"another conductor (process {holder}) uses the data folder {path}",
        hint="stop that conductor, or give this one another folder with --data",
        metadata={"folder": str(path), "pid": holder},
    )
