"""The messages of a pushed workspace: what callers offer, checked, and what they get back."""

import re
from collections.abc import Iterable

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.pushed.caller_store import Offer
from conductor.snapshots.pushed.limits import (
    MAX_COMMITS,
    MAX_CONVERTED_PATHS,
    MAX_NOTE_CHARACTERS,
    MAX_NOTES,
    MAX_PACK_BYTES,
    MAX_SHOWN_CHARACTERS,
)
from conductor.snapshots.pushed.records import Origin, Record
from conductor.snapshots.reading.entries import shown
from conductor.snapshots.reading.source import SHA1_ID
from conductor.snapshots.storing.pin import MAX_DIRTY_PATHS
from conductor.v1 import workspace_service_pb2 as pb
from servicekit.times import timestamp

MAX_PATH_CHARACTERS = 8000  # of a path as text, with escapes
_DIGEST = re.compile(r"[0-9a-f]{64}")


def read_offer(request: pb.PushWorkspaceRequest | None) -> Offer:
    """Returns the offer of a call's first message; raises InvalidRequestError."""
    if request is None or request.WhichOneof("part") != "offer":
        raise InvalidRequestError(Violation("offer", "must come first"))
    offer = request.offer
    violations = [*_commit_violations(offer), *_origin_violations(offer.origin)]
    if violations:
        raise InvalidRequestError(*violations)
    return Offer(offer.snapshot, tuple(offer.commits), tuple(offer.shallow), _origin(offer.origin))


def read_pack(request: pb.PushWorkspaceRequest | None) -> tuple[str, int]:
    """Returns digest and length of the pack that a call's second message offers; raises InvalidRequestError."""
    if request is None or request.WhichOneof("part") != "pack":
        raise InvalidRequestError(Violation("pack", "must come second, after the missing commits"))
    pack = request.pack
    if not _DIGEST.fullmatch(pack.digest):
        raise InvalidRequestError(Violation("pack.digest", "must be a SHA-256 of 64 hexadecimal digits"))
    if not 0 < pack.byte_count <= MAX_PACK_BYTES:
        raise InvalidRequestError(Violation("pack.byte_count", f"must be 1 to {MAX_PACK_BYTES}"))
    return pack.digest, pack.byte_count


def pushed_message(record: Record, received_bytes: int, keep_seconds: int) -> pb.PushedSnapshot:
    """Returns the last message of a push. The snapshot was used just now."""
    return pb.PushedSnapshot(
        snapshot=record.snapshot,
        file_count=record.file_count,
        byte_count=record.byte_count,
        received_bytes=received_bytes,
        expire_time=timestamp(record.receive_time + keep_seconds),
    )


def _origin(origin: pb.SnapshotOrigin) -> Origin:
    return Origin(
        origin.head_commit,
        tuple(map(shown_text, origin.dirty_paths)),
        origin.dirty_count,
        tuple(map(shown_text, origin.notes)),
        tuple(map(shown_text, origin.converted_paths)),
    )


def shown_text(text: str) -> str:
    """Returns a caller's text as pinning writes its own: control characters are escaped."""
    return shown(text.encode(errors="replace"))


def _commit_violations(offer: pb.SnapshotOffer) -> Iterable[Violation]:
    if not SHA1_ID.fullmatch(offer.snapshot):
        yield Violation("offer.snapshot", "must be a commit id of 40 hexadecimal digits")
    for name, commits in (("commits", offer.commits), ("shallow", offer.shallow)):
        if len(commits) > MAX_COMMITS or not all(SHA1_ID.fullmatch(commit) for commit in commits):
            yield Violation(f"offer.{name}", f"must be at most {MAX_COMMITS} commit ids of 40 hexadecimal digits")


def _origin_violations(origin: pb.SnapshotOrigin) -> Iterable[Violation]:
    if origin.head_commit and not SHA1_ID.fullmatch(origin.head_commit):
        yield Violation("offer.origin.head_commit", "must be a commit id of 40 hexadecimal digits, or empty")
    if origin.dirty_count < 0:
        yield Violation("offer.origin.dirty_count", "must not be negative")
    if sum(map(len, (*origin.dirty_paths, *origin.notes))) > MAX_SHOWN_CHARACTERS:
        yield Violation(
            "offer.origin", f"has notes and dirty paths of more than {MAX_SHOWN_CHARACTERS} characters in all"
        )
    for name, texts, most, characters in (
        ("dirty_paths", origin.dirty_paths, MAX_DIRTY_PATHS, MAX_PATH_CHARACTERS),
        ("notes", origin.notes, MAX_NOTES, MAX_NOTE_CHARACTERS),
        ("converted_paths", origin.converted_paths, MAX_CONVERTED_PATHS, MAX_PATH_CHARACTERS),
    ):
        if len(texts) > most or any(len(text) > characters for text in texts):
            yield Violation(f"offer.origin.{name}", f"must be at most {most}, of at most {characters} characters each")
