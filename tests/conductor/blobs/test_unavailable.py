"""Stores of blobs that cannot be used: each says so within its time, as an error that a retry may end."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest

from conductor.blobs.folder import FolderBlobs
from conductor.blobs.port import BlobOversizedError
from conductor.blobs.s3 import Bucket, S3Blobs
from conductor.errors import BlobsUnavailableError
from tests.kit.s3_server import S3Server

pytestmark = pytest.mark.processes
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer, **options: float) -> AsyncIterator[S3Blobs]:
    """Serves a store that answers every request like this."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield S3Blobs(Bucket("b", endpoint=f"http://127.0.0.1:{port}"), **{"retries": 1, **options})  # type: ignore[arg-type]


async def fails(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await writer.drain()


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def talks_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n<nonsense")
    await writer.drain()


def sends_endlessly(framing: str, chunk: bytes) -> Answer:
    """An answer without an end, whatever its head says."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f'HTTP/1.1 200 OK\r\n{framing}\r\netag: "e"\r\nlast-modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n'
        writer.write(head.encode())
        with suppress(ConnectionError):
            while True:
                writer.write(chunk)
                await writer.drain()

    return answer


@pytest.mark.parametrize(
    ("framing", "chunk"),
    [("content-length: 9", b"x" * 65_536), ("transfer-encoding: chunked", b"4\r\nxxxx\r\n" * 9_000)],
)
async def test_a_store_that_sends_more_than_it_told_fills_no_disk(
    keys: None, tmp_path: Path, framing: str, chunk: bytes
) -> None:
    async with answering(sends_endlessly(framing, chunk), request_seconds=1.0) as blobs:
        with suppress(BlobsUnavailableError, BlobOversizedError):
            await blobs.get("runs/r-1/7-abc", tmp_path / "target")

    assert (tmp_path / "target").stat().st_size <= 9


@pytest.mark.parametrize("answer", [fails, hangs])
async def test_a_store_without_a_sound_answer_is_unavailable_in_time(
    answer: Answer, keys: None, tmp_path: Path
) -> None:
    async with answering(answer, request_seconds=0.3) as blobs:
        begin = monotonic()
        with pytest.raises(BlobsUnavailableError, match=r"the blob runs/.* in s3://b: "):
            await blobs.names("runs/")
        with pytest.raises(BlobsUnavailableError):
            await blobs.get("runs/r/1", tmp_path / "target")

        assert monotonic() - begin < 10


async def test_a_listing_that_is_none_is_no_empty_listing(keys: None) -> None:
    async with answering(talks_nonsense) as blobs:
        with pytest.raises(BlobsUnavailableError):
            await blobs.names("runs/")


async def test_a_store_that_is_not_there_is_unavailable(keys: None) -> None:
    with pytest.raises(BlobsUnavailableError):
        await S3Blobs(Bucket("b", endpoint="http://127.0.0.1:9"), retries=0).mark("runs/r/1")


async def test_wrong_keys_are_told_and_not_shown(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(BlobsUnavailableError) as caught:
        await S3Blobs(server.bucket).mark("runs/r/1")

    assert "InvalidAccessKeyId" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)
    assert "Debug source" not in str(caught.value)


async def test_a_full_disk_leaves_no_half_object_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BlobsUnavailableError, match="No space left on device"):
            await blobs.put("snapshots/a/1-x", source)

    assert await blobs.names("snapshots/") == []
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
    await blobs.put("snapshots/a/1-x", source)
    assert await blobs.names("snapshots/") == ["snapshots/a/1-x"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://", "must be s3://BUCKET"),
        ("s3://key:secret@bucket/", "without keys"),
        ("s3://bucket?endpiont=http://x", "has no option 'endpiont'"),
        ("s3://bucket?endpoint=file:///etc", "must be a URL of http or https"),
    ],
)
def test_a_url_that_is_wrong_says_how(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Bucket.parse(url)
