"""Commits that no host would check out are refused before a run is made of them; everything that is pinned, hosts take."""

import os
import subprocess
from pathlib import Path

import pytest

from agenthost.snapshots.tree import parse
from conductor.errors import InvalidRequestError
from conductor.snapshots import SnapshotStore, WorkspaceMode
from conductor.snapshots.storing.contents import NoContent
from servicekit.snapshot_rules import MAX_DEPTH, MAX_LINK_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES
from tests.kit.repositories import ENVIRONMENT, UserRepository

pytestmark = pytest.mark.processes
Row = tuple[str, bytes, str]


def written(user: UserRepository, kind: str, data: bytes) -> str:
    """Writes an object as it is, however malformed."""
    command = ["git", "hash-object", "-w", "--literally", "-t", kind, "--stdin"]
    done = subprocess.run(command, input=data, cwd=user.folder, env=ENVIRONMENT, capture_output=True, check=True)
    return done.stdout.decode().strip()


def committed(user: UserRepository, rows: list[Row]) -> str:
    """Commits files at any paths: a folder is written for each part but the last."""
    entries = []
    for mode, path, oid in rows:
        *folders, name = path.split(b"/")
        entry = (mode, name, oid)
        for folder in reversed(folders):
            entry = ("40000", folder, written(user, "tree", raw([entry]) + raw([("100644", b"z", oid)])))
        entries.append(entry)
    tree = written(user, "tree", raw(entries))
    text = f"tree {tree}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n"
    return written(user, "commit", text.encode())


def raw(rows: list[Row]) -> bytes:
    return b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for mode, name, oid in rows)


REFUSED: dict[str, list[tuple[str, bytes, bytes]]] = {
    "too deep": [("100644", b"/".join([b"d"] * MAX_DEPTH + [b"f"]), b"x")],
    "a long name": [("100644", b"n" * (MAX_NAME_BYTES + 1), b"x")],
    "a long path": [("100644", b"/".join([b"p" * 200] * 11), b"x")],
    "a long link": [("120000", b"l", b"t" * (MAX_LINK_BYTES + 1))],
    "a link to nothing": [("120000", b"l", b"")],
    "a link with a NUL": [("120000", b"l", b"a\0b")],
    "git's folder": [("100644", b".GIT/config", b"x")],
    "git's folder below": [("100644", b"a/.git/config", b"x")],
    "a way up": [("100644", b"../a", b"x")],
    "no way": [("100644", b"./a", b"x")],
    "a path twice": [("100644", b"a", b"x"), ("100644", b"a", b"y")],
    "a file and a folder": [("100644", b"a", b"x"), ("100644", b"a/b", b"y")],
    "a deep submodule": [("160000", b"/".join([b"d"] * MAX_DEPTH + [b"s"]), b"x")],
}


@pytest.mark.parametrize("rows", REFUSED.values(), ids=REFUSED)
async def test_a_commit_that_no_host_takes_is_refused(
    store: SnapshotStore, user: UserRepository, rows: list[tuple[str, bytes, bytes]]
) -> None:
    commit = committed(user, [(mode, path, written(user, "blob", data)) for mode, path, data in rows])

    with pytest.raises(InvalidRequestError, match="no host takes"):
        await store.pin(user.folder, WorkspaceMode.COMMIT, commit)


async def test_the_largest_that_a_conductor_pins_is_taken_by_hosts(store: SnapshotStore, user: UserRepository) -> None:
    blob, target = written(user, "blob", b"x"), written(user, "blob", b"t" * MAX_LINK_BYTES)
    long = b"/".join([b"p" * 200] * 9 + [b"q" * (MAX_PATH_BYTES - 9 * 201)])
    rows = [
        ("100644", b"/".join([b"d"] * (MAX_DEPTH - 1) + [b"f"]), blob),
        ("120000", b"l", target),
        ("100644", b"n" * MAX_NAME_BYTES, blob),
        ("100644", long, blob),
    ]
    plan = await store.pin(user.folder, WorkspaceMode.COMMIT, committed(user, rows))
    command = ["git", "ls-tree", "-r", "-l", "-z", "--full-tree", plan.commit]
    listing = subprocess.run(command, cwd=user.folder, env=ENVIRONMENT, capture_output=True, check=True).stdout

    assert len(long) == MAX_PATH_BYTES
    assert {entry.path for entry in parse(listing)} >= {path for _, path, _ in rows}


async def test_a_working_tree_leaves_out_links_that_no_host_takes(store: SnapshotStore, user: UserRepository) -> None:
    (user.folder / "long").symlink_to("t" * (MAX_LINK_BYTES + 1))
    plan = await store.pin(user.folder)

    assert plan.commit == user.head
    assert plan.notes == (f"symbolic links whose targets are longer than {MAX_LINK_BYTES} bytes: 1 (long)",)


async def test_a_file_whose_name_is_no_utf_8_is_read_by_its_bytes(store: SnapshotStore, user: UserRepository) -> None:
    Path(os.fsdecode(os.fsencode(user.folder) + b"/caf\xe9.py")).write_text("x = 1\n")
    user.write(r"literal\xe9.py", "y = 2\n")
    plan = await store.pin(user.folder)
    asked = [r"caf\xe9.py", r"literal\xe9.py", r"none\xe9.py", r"caf\xc3.py"]

    assert await store.read_files(plan.commit, asked) == dict(
        zip(asked, (b"x = 1\n", b"y = 2\n", NoContent.NOTHING_THERE, NoContent.NOTHING_THERE), strict=True)
    )
