"""Locks the daemon's data directory for one daemon at a time, and names what lies in it."""

import fcntl
import os
import uuid
from pathlib import Path

from agenthost.errors import ConfigurationError
from agenthost.system.files import write_file


class DataFolder:
    """Holds the directory's lock for as long as this process lives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    def acquire(self) -> None:
        """Makes the directory and takes its lock; raises ConfigurationError when another daemon has it."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"another agenthost uses {self.path}: end that one, or give this one a directory of its own with --data"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"cannot use {self.path}: {error.strerror}") from error

    def instance(self) -> str:
        """Returns the id of this directory, made with it. It tells apart hosts that took each other's name or address."""
        path = self.path / "instance"
        if not path.exists() or not path.read_bytes().strip():
            write_file(path, uuid.uuid4().hex.encode())
        return path.read_text("ascii", "replace").strip()[:64]

    @property
    def attempts(self) -> Path:
        """Returns the folder of all attempts."""
        return self.path / "attempts"

    @property
    def probes(self) -> Path:
        """Returns the folder for trials of the sandbox."""
        return self.path / "probes"

    @property
    def snapshots(self) -> Path:
        """Returns the folder of all snapshots."""
        return self.path / "snapshots"

    @property
    def fences(self) -> Path:
        """Returns the file of conductors' epochs."""
        return self.path / "fences.jsonl"

    @property
    def tombstones(self) -> Path:
        """Returns the file of ids that are blocked."""
        return self.path / "tombstones.jsonl"
