"""Blobs in a bucket of an S3-compatible store, through obstore: its requests are signed, tried again, and bounded in time.

Large objects go in parts, which S3 makes visible as one object at the end. Each answer, and each piece of one, must come in time.
Keys come from the environment (AWS_ACCESS_KEY_ID …) or from the machine's role, never from the command line.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from conductor.blobs.port import CHUNK_BYTES, PAGE_NAMES, BlobMissingError, BlobStore, check_name, check_size
from conductor.errors import BlobsUnavailableError, ConfigurationError
from servicekit.threads import in_thread

if TYPE_CHECKING:
    from obstore.store import S3Store

REQUEST_SECONDS = 60.0  # for an answer, and for each piece of an object
TRANSFER_SECONDS = 3600.0
LEAST_BYTES_PER_SECOND = 256 * 1024  # of an upload
CONNECT_SECONDS = 5
RETRIES = 4
RETRY_SECONDS = 30
PARTS_AT_ONCE = 4
OPTIONS = ("endpoint", "region")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, read from `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`."""

    name: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""

    @classmethod
    def parse(cls, url: str) -> "Bucket":
        """Reads a URL; ValueError says what is wrong with it."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.hostname or "@" in parts.netloc or parts.fragment:
            raise ValueError("must be s3://BUCKET/PREFIX?endpoint=URL, without keys: they come from the environment")
        options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if unknown := sorted(options.keys() - set(OPTIONS)):
            raise ValueError(f"has no option '{unknown[0]}'; there are {' and '.join(OPTIONS)}")
        endpoint = options.get("endpoint", "")
        if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
            raise ValueError(f"endpoint must be a URL of http or https, not '{endpoint}'")
        return cls(parts.netloc, parts.path.strip("/"), endpoint, options.get("region", ""))


class S3Blobs(BlobStore):
    """A bucket of blobs."""

    def __init__(self, bucket: Bucket, *, retries: int = RETRIES, request_seconds: float = REQUEST_SECONDS) -> None:
        """Makes it; the first request comes with the first call."""
        self._shown = "s3://" + "/".join(filter(None, (bucket.name, bucket.prefix)))
        self._seconds = request_seconds
        self._store = _open(bucket, retries)

    @property
    def shown(self) -> str:
        """The bucket and its prefix."""
        return self._shown

    async def put(self, name: str, source: Path) -> None:
        """Uploads a file, in parts where it is large."""
        import obstore

        with source.open("rb") as file:
            seconds = self._seconds + os.fstat(file.fileno()).st_size / LEAST_BYTES_PER_SECOND
            async with self._asking(name, seconds):
                await obstore.put_async(self._store, check_name(name), file, max_concurrency=PARTS_AT_ONCE)

    async def mark(self, name: str) -> None:
        """Uploads an object of no bytes."""
        import obstore

        async with self._asking(name):
            await obstore.put_async(self._store, check_name(name), b"")

    async def get(self, name: str, target: Path) -> None:
        """Downloads an object; the library goes on where a connection broke."""
        import obstore

        with target.open("xb") as file:
            async with self._asking(name):
                answer = await obstore.get_async(self._store, check_name(name))
                told, size = int(answer.meta["size"]), 0
                check_size(told)
                pieces = aiter(answer.stream(min_chunk_size=CHUNK_BYTES))
            while True:
                async with self._asking(name):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                size += len(memoryview(piece))
                check_size(size, told)
                await in_thread(file.write, memoryview(piece))

    async def names(self, prefix: str, after: str = "") -> list[str]:
        """Lists a page."""
        import obstore

        found: list[str] = []
        async with self._asking(prefix):
            async for page in obstore.list(self._store, prefix, offset=after or None, chunk_size=PAGE_NAMES):
                # Some stores ignore where a listing shall begin.
                found += [name for entry in page if (name := str(entry["path"])) > after]
                if len(found) >= PAGE_NAMES:
                    break
        return sorted(set(found))  # some list one twice while it is written

    async def delete(self, name: str) -> None:
        """Deletes an object."""
        import obstore

        with contextlib.suppress(BlobMissingError):
            async with self._asking(name):
                await obstore.delete_async(self._store, check_name(name))

    async def close(self) -> None:
        """Does nothing: idle connections end by themselves."""

    @contextlib.asynccontextmanager
    async def _asking(self, name: str, seconds: float = 0.0) -> AsyncIterator[None]:
        """Bounds a request in time, and tells what its failure means."""
        from obstore.exceptions import BaseError

        limit = seconds or self._seconds
        try:
            async with asyncio.timeout(limit):
                yield
        except FileNotFoundError as error:
            raise BlobMissingError(name) from error
        except TimeoutError as error:
            raise BlobsUnavailableError(f"the blob {name} in {self._shown}: no answer within {limit:g} s") from error
        except (BaseError, OSError) as error:
            # The rest of it are the library's own structures, for debugging.
            why = str(error).partition("\n\nDebug source:")[0]
            raise BlobsUnavailableError(f"the blob {name} in {self._shown}: {why}") from error


def _open(bucket: Bucket, retries: int) -> "S3Store":
    try:
        from obstore.store import S3Store
    except ImportError as error:
        hint = "install it:  pip install 'conductor-agenthost[s3]'"
        raise ConfigurationError("blobs in s3:// need the extra 's3', which is not installed", hint=hint) from error
    given: dict[str, Any] = {"region": bucket.region} if bucket.region else {}
    if bucket.endpoint:
        # A store of one's own has one certificate, hence no names of buckets in its address.
        given |= {"endpoint": bucket.endpoint, "virtual_hosted_style_request": False}
    return S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        client_options={
            "timeout": timedelta(seconds=TRANSFER_SECONDS),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "allow_http": bucket.endpoint.startswith("http://"),
        },
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        **given,
    )
