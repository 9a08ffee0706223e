"""Reads and writes the two small files of a finished snapshot: what it is, and which commits its history has.

`commits` lets the host say what it has without starting git: 20 bytes a commit, for every snapshot.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ID_BYTES = 20


@dataclass(frozen=True, slots=True)
class Ready:
    """A checked-out snapshot, and the fingerprint that its tree had then."""

    snapshot: str
    pack_bytes: int
    file_count: int
    byte_count: int
    fingerprint: str


def write_ready(folder: Path, ready: Ready, commits: Sequence[str]) -> None:
    """Writes both files."""
    (folder / "commits").write_bytes(b"".join(bytes.fromhex(commit) for commit in commits))
    (folder / "ready").write_text(json.dumps(asdict(ready)) + "\n")


def read_ready(folder: Path) -> Ready | None:
    """Returns what is known of a snapshot; None where there is none."""
    try:
        return Ready(**json.loads((folder / "ready").read_text()))
    except FileNotFoundError:
        return None


def held(folder: Path, asked: Collection[str]) -> Iterator[str]:
    """Returns those of some commits that a snapshot's history has."""
    try:
        commits = (folder / "commits").read_bytes()
    except FileNotFoundError:
        return
    for start in range(0, len(commits), ID_BYTES):
        commit = commits[start : start + ID_BYTES].hex()
        if commit in asked:
            yield commit
