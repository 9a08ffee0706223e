"""Every test of this folder that takes `blobs` runs over every store of them: what the port promises, each one keeps."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conductor.blobs.folder import FolderBlobs
from conductor.blobs.own import OwnBlobs
from conductor.blobs.port import BlobStore
from conductor.blobs.s3 import S3Blobs
from tests.kit.leader import leading
from tests.kit.s3_server import ENVIRONMENT, S3Server, s3_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["folder", "own", "s3", "postgresql"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path, keys: None) -> AsyncIterator[BlobStore]:
    if request.param == "folder":
        store: BlobStore = FolderBlobs(tmp_path / "blobs")
    elif request.param == "own":
        await FolderBlobs(tmp_path / "blobs").mark("another/runs/r-0/1-x")
        store = OwnBlobs(FolderBlobs(tmp_path / "blobs"), "one")
    elif request.param == "postgresql":
        async with leading(request.getfixturevalue("database")) as leader:
            yield leader.open_blobs()
        return
    else:
        # A prefix for each test: this server takes long to delete.
        store = S3Blobs(replace(request.getfixturevalue("server").bucket, prefix=tmp_path.name.replace("_", "-")))
    yield store
    await store.close()
