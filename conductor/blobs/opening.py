"""Chooses a store of blobs by its URL."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from conductor.blobs.folder import FolderBlobs
from conductor.blobs.port import BlobStore
from conductor.errors import ConfigurationError

DATABASE = "database"  # that of the store; which the app opens
FORMS = "a whole path of a folder, or s3://BUCKET/PREFIX?endpoint=URL"


def open_blobs(url: str) -> BlobStore:
    """Returns the store at a URL; nothing is asked of it yet. Raises ConfigurationError for a URL of another form."""
    if url.startswith("s3://"):
        from conductor.blobs.s3 import Bucket, S3Blobs  # noqa: PLC0415 (an extra)

        try:
            return S3Blobs(Bucket.parse(url))
        except ValueError as error:
            raise ConfigurationError(f"blobs: '{_without_keys(url)}' {error}") from error
    if url == DATABASE:
        raise ConfigurationError("blobs: only a store in PostgreSQL has room for copies", hint=f"give {FORMS}")
    path = Path(unquote(urlsplit(url).path) if url.startswith("file:///") else url)
    if not path.is_absolute():
        raise ConfigurationError(f"blobs: '{_without_keys(url)}' is not {FORMS}")
    return FolderBlobs(path)


def _without_keys(url: str) -> str:
    """Returns a URL without what stands before an @, which may be a secret."""
    before, at, host = url.partition("@")
    return f"{before.partition('://')[0]}://…@{host}" if at else url
