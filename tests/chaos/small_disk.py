"""A disk of limited size below a folder, in a mount namespace of its own, which can be filled and given room again.

What the folder holds is copied to it. The disk lives as long as the process that made it, or one that it let in; where a machine
allows no such namespace, `DiskRefusedError` says why. `python -m tests.chaos.small_disk FOLDER BYTES` is that process.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.chaos import namespaces

REPOSITORY = Path(__file__).parent.parent.parent
BALLAST = "ballast"
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_PIECES = (1 << 20, 1 << 12, 1)
_libc = ctypes.CDLL(None, use_errno=True)


class DiskRefusedError(Exception):
    """This machine makes no such disk; the text says what it said."""


class SmallDisk:
    """The disk below one folder. Its own processes see it there; all others find it at `place`."""

    def __init__(self, folder: Path, size: int) -> None:
        self._holder = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.small_disk", str(folder), str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd=REPOSITORY,
        )
        assert self._holder.stdout is not None
        said = json.loads(self._holder.stdout.readline() or '{"refused": "its process ended"}')
        if said["refused"]:
            self.close()
            raise DiskRefusedError(said["refused"])
        self.pid = self._holder.pid
        self.place = Path(f"/proc/{self.pid}/root{folder}")

    def close(self) -> None:
        """Ends it, as soon as no process is on it."""
        self._holder.communicate()

    @property
    def entrance(self) -> tuple[str, ...]:
        """Returns the words before a program that make it see the disk."""
        return (sys.executable, "-I", "-S", namespaces.__file__, f"{self.pid}:mnt")

    def fill(self) -> None:
        """Takes every byte that is left."""
        with (self.place / BALLAST).open("ab", buffering=0) as file:
            for size in _PIECES:
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def make_room(self) -> None:
        """Gives it all back."""
        (self.place / BALLAST).unlink(missing_ok=True)


def _mount(folder: Path, size: int) -> None:
    """Puts the disk over the folder, with what that holds."""
    owner, below = folder.stat(), os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    namespaces.become_owner()
    namespaces.enter_new_mounts()
    options = f"size={size},mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    _call_mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    _call_mount(b"tmpfs", bytes(folder), b"tmpfs", 0, options.encode())
    source = Path(f"/proc/self/fd/{below}")
    shutil.copytree(source, folder, dirs_exist_ok=True)
    for path in folder.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid)
    os.close(below)


def _call_mount(source: bytes, target: bytes, kind: bytes | None, flags: int, options: bytes | None) -> None:
    if _libc.mount(source, target, kind, flags, options) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount: {os.strerror(number)}")


def main() -> int:
    refused = ""
    try:
        _mount(Path(sys.argv[1]), int(sys.argv[2]))
    except OSError as error:
        refused = str(error)
    print(json.dumps({"refused": refused}), flush=True)  # noqa: T201 - the answer to the process that asked
    if not refused:
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
