"""An index that a user's repository did not get from git: no path of it leads out of the workspace. Keeps E9 and J1."""

import hashlib
import struct
from pathlib import Path

import pytest

from conductor.snapshots import SnapshotStore
from tests.conductor.snapshots.pinned import content
from tests.kit.repositories import UserRepository

pytestmark = pytest.mark.processes

ASTRAY_PATHS = (
    "../outside/key",
    "src/../../outside/key",
    "./README.md",
    "src//app.py",
    "src/./app.py",
    "..",
    "/etc/hostname",
)


async def test_a_path_of_a_crafted_index_leads_nowhere_out_of_the_workspace(
    store: SnapshotStore, user: UserRepository, tmp_path: Path
) -> None:
    """E9: git lists the paths of an index as they stand there."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_text("secret of another project\n")
    oid = user.git("rev-parse", "HEAD:README.md").strip()
    entries = b"".join(_index_entry(path, oid) for path in sorted((*ASTRAY_PATHS, "README.md", "src/app.py")))
    index = b"DIRC" + struct.pack(">II", 2, len(ASTRAY_PATHS) + 2) + entries
    (user.folder / ".git" / "index").write_bytes(index + hashlib.sha1(index, usedforsecurity=False).digest())
    for folder in (user.folder, user.folder / "src"):
        plan = await store.pin(folder)
        held = content(tmp_path, plan.commit)

        assert not any(part in (b"", b".", b"..") for path in held for part in path.split(b"/"))
        assert not any(b"secret" in data for _, data in held.values())
        assert any("paths that lead out of the workspace" in note for note in plan.notes)


def _index_entry(path: str, oid: str) -> bytes:
    name = path.encode()
    entry = struct.pack(">10I", *(0,) * 6, 0o100644, 0, 0, 0) + bytes.fromhex(oid) + struct.pack(">H", len(name)) + name
    return entry + bytes(8 - len(entry) % 8)
