"""A story and its workspace, for the tests of evaluation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conductor.evaluation.story import Story, telling


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    async with telling(tmp_path) as told:
        yield told


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "a.py").write_text("one\ntwo\nthree\nfour\n")
    (folder / "notes.md").write_text("# Notes\n\n```sh\nrm -rf /\n```\n````\n<script>\n")
    return folder
