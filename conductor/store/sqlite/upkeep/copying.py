"""Copies a database that is in use, in one read transaction: the copy is whole, and the writer goes on meanwhile.

`VACUUM INTO` rather than SQLite's backup calls: those start again whenever another process writes, and copy damage. This one
writes a compact file, and fails where it cannot read. While it reads, the write-ahead log grows.
"""

import os
import sqlite3
from pathlib import Path


def copy_database(connection: sqlite3.Connection, target: Path) -> None:
    """Writes a copy to `target`: whole and durable, or not at all."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))  # SQLite takes an empty file
    try:
        connection.execute("VACUUM INTO ?", (str(partial),))
        make_durable(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    make_durable(target.parent)


def make_durable(path: Path) -> None:
    """Writes a file, or the names in a folder, through to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
