"""Speaks WorkspaceService.PushWorkspace. It makes no pack and retries nothing.

The calls of this command line are synchronous: gRPC takes the requests from an iterator, in a thread of its own, and as fast as
the connection takes them.
"""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.cli.pushing.cache import Pack
from conductor.cli.text.failure import CommandError
from conductor.v1 import workspace_service_pb2 as pb

CHUNK_BYTES = 512 * 1024
# Of one call. A large push over a slow line is resumed by the next one.
PUSH_SECONDS = 3600.0

# Takes how much of a pack the conductor has or is being sent, and its length.
Progress = Callable[[int, int], None]


def ask_missing(connection: Connection, offer: pb.SnapshotOffer) -> frozenset[str] | None:
    """Returns the offered commits upon which a pack must not build; None where the conductor has the snapshot."""
    with _call(connection, CALL_SECONDS) as call:
        answer = call.ask(pb.PushWorkspaceRequest(offer=offer))
        return frozenset(answer.missing.commits) if answer.WhichOneof("part") == "missing" else None


def send_pack(connection: Connection, pack: Pack, progress: Progress) -> pb.PushedSnapshot | None:
    """Sends what the conductor lacks of a pack; returns None where it lacks a commit upon which the pack builds."""
    with _call(connection, PUSH_SECONDS) as call:
        answer = call.ask(pb.PushWorkspaceRequest(offer=pb.SnapshotOffer.FromString(pack.offer)))
        if answer.WhichOneof("part") == "missing":
            if frozenset(answer.missing.commits).intersection(pack.have):
                return None
            told = pb.PackOffer(digest=pack.digest, byte_count=pack.byte_count)
            answer = call.ask(pb.PushWorkspaceRequest(pack=told))
        if answer.WhichOneof("part") == "position":
            answer = call.send(chunks_of(pack, answer.position.received_bytes, progress))
        if answer.WhichOneof("part") != "pushed":
            raise CommandError("the conductor answered a push with something else than its end")
        call.close()
        return answer.pushed


class _Call:
    """One call. Every answer is waited for."""

    def __init__(self, stream: Any, requests: "queue.SimpleQueue[Iterator[pb.PushWorkspaceRequest] | None]") -> None:
        self._stream = stream
        self._requests = requests

    def ask(self, request: pb.PushWorkspaceRequest) -> pb.PushWorkspaceResponse:
        return self.send(iter([request]))

    def send(self, requests: Iterator[pb.PushWorkspaceRequest]) -> pb.PushWorkspaceResponse:
        self._requests.put(requests)
        answer: pb.PushWorkspaceResponse | None = next(self._stream, None)
        if answer is None:
            raise CommandError("the conductor ended the push without an answer")
        return answer

    def close(self) -> None:
        """Closes this side, and reads to the end: the call has its status then."""
        self._requests.put(None)
        for _ in self._stream:
            pass


@contextmanager
def _call(connection: Connection, seconds: float) -> Iterator[_Call]:
    requests: queue.SimpleQueue[Iterator[pb.PushWorkspaceRequest] | None] = queue.SimpleQueue()

    def given() -> Iterator[pb.PushWorkspaceRequest]:
        while (some := requests.get()) is not None:
            yield from some

    stream = connection.workspaces.PushWorkspace(given(), timeout=seconds)
    try:
        yield _Call(stream, requests)
    finally:
        stream.cancel()
        requests.put(None)  # ends the thread that waits for a request


def chunks_of(pack: Pack, start: int, progress: Progress) -> Iterator[pb.PushWorkspaceRequest]:
    """Yields the bytes of a pack from one on."""
    with pack.path.open("rb") as file:
        file.seek(start)
        progress(start, pack.byte_count)
        while chunk := file.read(CHUNK_BYTES):
            yield pb.PushWorkspaceRequest(chunk=chunk)
            progress(file.tell(), pack.byte_count)
