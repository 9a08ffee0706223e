"""Pushed snapshots, and the stores of two callers."""

from pathlib import Path

import pytest

from conductor.snapshots.pushed.caller_store import CallerStore
from conductor.snapshots.pushed.store import PushedSnapshots


@pytest.fixture
def pushed(tmp_path: Path) -> PushedSnapshots:
    return PushedSnapshots(tmp_path / "pushed")


@pytest.fixture
async def anna(pushed: PushedSnapshots) -> CallerStore:
    return await pushed.of("certificate:anna")


@pytest.fixture
async def ben(pushed: PushedSnapshots) -> CallerStore:
    return await pushed.of("certificate:ben")
