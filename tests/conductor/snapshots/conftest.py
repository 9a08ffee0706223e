from pathlib import Path

import pytest

from conductor.snapshots import SnapshotStore
from tests.conductor.snapshots.pinned import OBJECTS
from tests.kit.killed_git import KilledGit
from tests.kit.repositories import UserRepository


@pytest.fixture
async def store(tmp_path: Path) -> SnapshotStore:
    return await SnapshotStore.open(tmp_path / OBJECTS)


@pytest.fixture
def user(tmp_path: Path) -> UserRepository:
    return UserRepository.make(tmp_path / "project")


@pytest.fixture
def killed_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KilledGit:
    return KilledGit(tmp_path / "programs", monkeypatch)
