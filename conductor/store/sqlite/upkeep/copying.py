"""Copies a database that is in use: one read transaction, so that the copy is whole and the writer goes on meanwhile.

`VACUUM INTO` rather than SQLite's backup calls: those begin anew whenever another process writes, and copy damage along;
this writes a compact file of one piece, and fails where it cannot read. While it reads, the write-ahead log grows.
"""

import os
import sqlite3
from pathlib import Path


def copy_database(connection: sqlite3.Connection, target: Path) -> None:
    """Writes a copy to `target`, which is there whole and on the disk afterwards, or not at all."""
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
    """Has a file, or the names in a folder, written to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
