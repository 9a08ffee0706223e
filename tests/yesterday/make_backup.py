"""Backs up what `make_conductor` makes, as an operator does. See `make`."""

import asyncio
import lzma
import tempfile
from pathlib import Path

from conductor.maintenance import backup
from tests.yesterday.archive import unpack


async def make(target: Path) -> None:
    """Writes a backup of the database without hosts."""
    with tempfile.TemporaryDirectory() as name:
        data, made = unpack(target / "conductor_without_hosts.tar.xz", Path(name, "data")), Path(name, "backup.tar")
        await asyncio.to_thread(backup.make_backup, data, made)
        (target / "backup.tar.xz").write_bytes(lzma.compress(made.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
