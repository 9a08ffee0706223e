"""Writes the result files of an attempt: that its agent was released, and how it ended. `attempt.records` reads them."""

from __future__ import annotations

import contextlib
import json
import os

from agenthost.shim.spool import Spool

STATUS_RESERVED_BYTES = 64 * 1024

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any


def reserve_status(folder: str = ".") -> None:
    """Reserves space for the status: a disk that fills must not hide how an attempt ended."""
    fd = os.open(f"{folder}/status.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with contextlib.suppress(OSError):
        os.posix_fallocate(fd, 0, STATUS_RESERVED_BYTES)
    os.close(fd)


def write_status(status: dict[str, Any], spool: Spool, folder: str = ".") -> None:
    """Makes the end durable: first all that was said, then, with its length, how it ended."""
    os.fsync(spool.fd)
    write_file("status", status | {"spool_length": spool.size}, durable=True, folder=folder)
    here = os.open(folder, os.O_RDONLY)
    os.fsync(here)


def write_file(name: str, value: dict[str, Any], *, durable: bool, folder: str = ".") -> None:
    """Writes NAME.json so that it is there as a whole or not at all."""
    content = json.dumps(value).encode()
    fd = os.open(f"{folder}/{name}.new", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, content)
    os.ftruncate(fd, len(content))
    if durable:
        os.fsync(fd)
    os.close(fd)
    os.rename(f"{folder}/{name}.new", f"{folder}/{name}.json")
