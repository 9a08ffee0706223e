"""Seals a snapshot's folder, writes it to the disk, and removes it. Follows no link."""

import ctypes
import os
import stat
from pathlib import Path

READ_ONLY_FILE = 0o444
READ_ONLY_FOLDER = 0o555


def seal(folder: Path) -> None:
    """Takes the write permission away, and lets all users read: the agent runs as another user."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            (Path(parent) / name).chmod(READ_ONLY_FILE)
        Path(parent).chmod(READ_ONLY_FOLDER)


def remove_tree(folder: Path) -> None:
    """Removes a folder whose content has no write permission."""
    if not folder.is_dir():
        return
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(stat.S_IRWXU)
    for parent, folders, files in os.walk(folder, topdown=False):
        for path in (Path(parent) / name for name in (*folders, *files)):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
    folder.rmdir()


def write_to_disk(folder: Path) -> None:
    """Waits until the file system that holds a folder is on the disk: one call instead of one for each file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "the disk did not take a snapshot")
    finally:
        os.close(descriptor)
