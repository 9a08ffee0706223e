"""Reads the attachments of most tasks: bundle and inputs of the run, and results of its steps."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from conductor.evaluation.evidence.citations import Unread
from conductor.evaluation.reports.results import Result, read_results, whole
from conductor.evaluation.workers.frames import Frame
from conductor.flows.kinds.foreach import as_name
from conductor.flows.library.bundle import Bundle, read_bundle
from conductor.v1 import flow_service_pb2

# Each step of a flow needs its bundle, and reading one with 200 steps takes 2 ms, with long prompts 30. The caches take some
# ten of a worker's 512 MB for small bundles, and some forty for the newest large ones.
KEPT_BUNDLES = 8
MAX_KEPT_BUNDLE_BYTES = 256 * 1024
KEPT_LARGE_BUNDLES = 2
MAX_LARGE_BUNDLE_BYTES = 4 * 1024 * 1024
# The place of the attachment with the items and rounds that a step belongs to.
SCOPES = 3
WHOLE: Mapping[str, Any] = {"commit": "", "base": "", "scope": "whole", "paths": []}


def read_pinned(frame: Frame) -> tuple[Bundle, dict[str, Any], dict[str, Result]]:
    """Returns the bundle, the inputs and the results of a frame."""
    bundle, inputs, results = frame.attachments[:3]
    return read_kept_bundle(bundle), json.loads(inputs), read_results(json.loads(results))


def read_names(frame: Frame) -> dict[str, Any]:
    """Returns what a frame's step sees beside inputs and results, with the values.

    These are the run, the snapshot, and the names of the items and rounds that the step belongs to; inner ones hide outer ones.
    """
    names: dict[str, Any] = {"snapshot": read_snapshot(frame), "run": read_run(frame)}
    if len(frame.attachments) <= SCOPES:
        return names
    bundle = read_kept_bundle(frame.attachments[0])
    for scope in json.loads(frame.attachments[SCOPES]):
        if "item" in scope:
            own = as_name(bundle.step(scope["parent"]))
            names |= {"item": scope["item"], "index": scope["index"], **({own: scope["item"]} if own else {})}
        else:
            names |= {"round": scope["round"], "previous": whole(read_results(scope["previous"]))}
    return names


def read_seen(frame: Frame) -> tuple[flow_service_pb2.Flow.Step, dict[str, Any]]:
    """Returns the step of a frame, and everything that it sees, with the results whole."""
    bundle, inputs, results = read_pinned(frame)
    names = {**read_names(frame), "inputs": inputs, "band": inputs["band"], "steps": whole(results)}
    return bundle.step(frame.header["step"]), names


def read_run(frame: Frame) -> dict[str, str]:
    """Returns the run as expressions and templates see it."""
    return {"id": "", "flow": "", **frame.header.get("run", {})}


def read_snapshot(frame: Frame) -> dict[str, Any]:
    """Returns the snapshot as expressions and templates see it: with the files that differ from its base, and their hunks."""
    document: dict[str, Any] = {"files": [], "files_left_out": 0, "notes": []}
    if (index := frame.header.get("changes")) is not None:
        document = json.loads(frame.attachments[index])
    told = {"changes": document["files"], "left_out": document["files_left_out"], "notes": document["notes"]}
    told["base_guidelines"] = document.get("guidelines", [])
    return {**WHOLE, **frame.header.get("snapshot", {}), **told}


def read_files(frame: Frame) -> dict[str, bytes | Unread | None]:
    """Returns the files of the snapshot that a frame carries, and why others were not read."""
    files: dict[str, bytes | Unread | None] = {
        path: frame.attachments[index] for path, index in frame.header.get("files", {}).items()
    }
    return files | {path: Unread(reason) for path, reason in frame.header.get("unread", {}).items()}


def read_kept_bundle(data: bytes) -> Bundle:
    """Returns the bundle in these bytes. The caller must not change it: the next task may get the same."""
    if len(data) <= MAX_KEPT_BUNDLE_BYTES:
        return _kept_bundle(data)
    return _kept_large_bundle(data) if len(data) <= MAX_LARGE_BUNDLE_BYTES else read_bundle(data)


def failed(reason: str, message: str) -> Frame:
    """Returns the answer for a mistake of an author or an agent; `reason` is one of the error table."""
    return Frame({"failed": {"reason": reason, "message": message}})


@lru_cache(KEPT_BUNDLES)
def _kept_bundle(data: bytes) -> Bundle:
    return read_bundle(data)


@lru_cache(KEPT_LARGE_BUNDLES)
def _kept_large_bundle(data: bytes) -> Bundle:
    return read_bundle(data)
