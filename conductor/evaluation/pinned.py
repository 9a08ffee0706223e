"""Reads the attachments of most tasks: bundle and inputs of the run, and results of its steps."""

import json
from functools import lru_cache
from typing import Any

from conductor.evaluation.evidence.citations import Unread
from conductor.evaluation.reports.results import Result, read_results
from conductor.evaluation.workers.frames import Frame
from conductor.flows.library.bundle import Bundle, read_bundle

# Each step of a flow needs its bundle, and reading one with 200 steps takes 2 ms. The cache takes some ten of a worker's 512 MB.
KEPT_BUNDLES = 8
MAX_KEPT_BUNDLE_BYTES = 256 * 1024


def read_pinned(frame: Frame) -> tuple[Bundle, dict[str, Any], dict[str, Result]]:
    """Returns the bundle, the inputs and the results of a frame."""
    bundle, inputs, results = frame.attachments[:3]
    return read_kept_bundle(bundle), json.loads(inputs), read_results(json.loads(results))


def read_files(frame: Frame) -> dict[str, bytes | Unread | None]:
    """Returns the files of the snapshot that a frame carries, and why others were not read."""
    files: dict[str, bytes | Unread | None] = {
        path: frame.attachments[index] for path, index in frame.header.get("files", {}).items()
    }
    return files | {path: Unread(reason) for path, reason in frame.header.get("unread", {}).items()}


def read_kept_bundle(data: bytes) -> Bundle:
    """Returns the bundle in these bytes. The caller must not change it: the next task may get the same."""
    return _kept_bundle(data) if len(data) <= MAX_KEPT_BUNDLE_BYTES else read_bundle(data)


def failed(reason: str, message: str) -> Frame:
    """Returns the answer for a mistake of an author or an agent; `reason` is one of the error table."""
    return Frame({"failed": {"reason": reason, "message": message}})


@lru_cache(KEPT_BUNDLES)
def _kept_bundle(data: bytes) -> Bundle:
    return read_bundle(data)
