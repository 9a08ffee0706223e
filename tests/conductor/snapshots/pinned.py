"""Reads what the store of a test holds, with git, past the store."""

from pathlib import Path

from tests.kit.repositories import snapshot_content

OBJECTS = Path("data", "objects.git")  # below the test's folder


def content(tmp_path: Path, commit: str) -> dict[bytes, tuple[str, bytes]]:
    return snapshot_content(tmp_path / OBJECTS, commit)
