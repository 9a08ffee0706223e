"""The contract of `conductor.blobs.port`, over each store."""

import asyncio
import os
from pathlib import Path

import pytest

from conductor.blobs import port
from conductor.blobs.port import BlobMissingError, BlobOversizedError, BlobStore

pytestmark = pytest.mark.processes
NAME = "runs/r-1/7-abc"


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / f"source-{len(content)}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [0, 1, 3_000_000, pytest.param(20_000_000, marks=pytest.mark.long)])
async def test_what_was_put_is_got_back(blobs: BlobStore, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    await blobs.put(NAME, file_of(tmp_path, content))
    await blobs.put(NAME, file_of(tmp_path, content))
    await blobs.get(NAME, tmp_path / "target")

    assert (tmp_path / "target").read_bytes() == content
    assert await blobs.names("runs/") == [NAME]


async def test_an_object_beyond_the_bound_is_refused_there_and_not_read_on(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await blobs.put(NAME, file_of(tmp_path, os.urandom(3_000_000)))
    monkeypatch.setattr(port, "MOST_BYTES", 2_000_000)

    with pytest.raises(BlobOversizedError, match="more than 2000000 bytes"):
        await blobs.get(NAME, tmp_path / "target")
    assert [path.stat().st_size for path in tmp_path.glob("target")] in ([], [0])


async def test_a_mark_is_a_name_without_content(blobs: BlobStore, tmp_path: Path) -> None:
    await blobs.mark(NAME)
    await blobs.mark(NAME)
    await blobs.get(NAME, tmp_path / "target")

    assert (tmp_path / "target").read_bytes() == b""
    assert await blobs.names("runs/r-1/") == [NAME]


async def test_names_come_in_order_and_below_their_prefix_only(blobs: BlobStore) -> None:
    names = ["runs/a-b/1-x", "runs/a/1-x", "runs/a/1-y", "runs/a/b/c", "runs/ab/1-x", "runs/b/0-a"]
    for name in reversed(names):
        await blobs.mark(name)

    assert await blobs.names("runs/") == names
    assert await blobs.names("runs/a/") == names[1:4]
    assert await blobs.names("runs/", names[2]) == names[3:]
    assert await blobs.names("runs/a/", names[3]) == []
    assert await blobs.names("others/") == []


@pytest.mark.long
async def test_many_names_come_in_pages(blobs: BlobStore) -> None:
    names = [f"runs/r{number:05}/1-x" for number in range(1203)]
    for start in range(0, len(names), 50):
        await asyncio.gather(*(blobs.mark(name) for name in names[start : start + 50]))
    first = await blobs.names("runs/")
    second = await blobs.names("runs/", first[-1])

    assert first + second == names
    assert await blobs.names("runs/", second[-1]) == []


async def test_a_deleted_object_is_gone_and_may_be_deleted_again(blobs: BlobStore, tmp_path: Path) -> None:
    await blobs.mark(NAME)
    await blobs.delete(NAME)
    await blobs.delete(NAME)

    assert await blobs.names("runs/") == []
    with pytest.raises(BlobMissingError):
        await blobs.get(NAME, tmp_path / "target")


async def test_many_objects_are_written_and_removed_at_once(blobs: BlobStore) -> None:
    names = [f"runs/r/{number}-x" for number in range(30)]
    await asyncio.gather(*(blobs.mark(name) for name in names), *(blobs.mark(name) for name in names))
    await asyncio.gather(*(blobs.delete(name) for name in names[1:]), *(blobs.mark(names[0]) for _ in range(10)))

    assert await blobs.names("runs/") == names[:1]


@pytest.mark.parametrize(
    "name", ["", "alone", "runs/../x", "/runs/x", "runs//x", "runs/X", "runs/x\0", "runs/" + 300 * "x"]
)
async def test_a_name_that_one_store_could_not_have_none_takes(blobs: BlobStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a blob"):
        await blobs.mark(name)
    with pytest.raises(ValueError, match="no name of a blob"):
        await blobs.get(name, tmp_path / "target")
