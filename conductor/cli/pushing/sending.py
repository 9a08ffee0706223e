"""Sends one snapshot over one call of WorkspaceService.PushWorkspace. It makes no pack and retries nothing.

The calls of this command line are synchronous: gRPC takes the requests from an iterator, in a thread of its own, and as fast as
the connection takes them.
"""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from conductor.cli.connection import Connection
from conductor.cli.pushing.cache import Pack
from conductor.cli.text.failure import CommandError
from conductor.v1 import workspace_service_pb2 as pb

CHUNK_BYTES = 512 * 1024
# Of one call. A large push over a slow line is resumed by the next one.
PUSH_SECONDS = 3600.0

Progress = Callable[[int, int], None]


class Sending:
    """One call, from its offer to its end."""

    def __init__(self, call: Any, requests: "queue.SimpleQueue[Iterator[pb.PushWorkspaceRequest] | None]") -> None:
        self._call = call
        self._requests = requests

    def offer(self, offer: pb.SnapshotOffer) -> pb.PushWorkspaceResponse:
        """Offers a snapshot; returns the missing commits, or the end."""
        return self._ask(pb.PushWorkspaceRequest(offer=offer))

    def send(self, pack: Pack, progress: Progress) -> pb.PushedSnapshot:
        """Sends what the conductor lacks of a pack; returns the end."""
        answer = self._ask(pb.PushWorkspaceRequest(pack=pb.PackOffer(digest=pack.digest, byte_count=pack.byte_count)))
        if answer.WhichOneof("part") == "position":
            self._requests.put(_chunks(pack, answer.position.received_bytes, progress))
            answer = self._next()
        if answer.WhichOneof("part") != "pushed":
            raise CommandError("the conductor answered a push with something else than its end")
        return answer.pushed

    def _ask(self, request: pb.PushWorkspaceRequest) -> pb.PushWorkspaceResponse:
        self._requests.put(iter([request]))
        return self._next()

    def _next(self) -> pb.PushWorkspaceResponse:
        answer: pb.PushWorkspaceResponse | None = next(self._call, None)
        if answer is None:
            raise CommandError("the conductor ended the push without an answer")
        return answer


@contextmanager
def sending(connection: Connection) -> Iterator[Sending]:
    """Opens a call; a failed one raises grpc.RpcError inside."""
    requests: queue.SimpleQueue[Iterator[pb.PushWorkspaceRequest] | None] = queue.SimpleQueue()

    def given() -> Iterator[pb.PushWorkspaceRequest]:
        while (some := requests.get()) is not None:
            yield from some

    call = connection.workspaces.PushWorkspace(given(), timeout=PUSH_SECONDS)
    try:
        yield Sending(call, requests)
        requests.put(None)
        for _ in call:
            pass
    finally:
        requests.put(None)
        call.cancel()


def _chunks(pack: Pack, start: int, progress: Progress) -> Iterator[pb.PushWorkspaceRequest]:
    with pack.path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK_BYTES):
            progress(file.tell() - len(chunk), pack.byte_count)
            yield pb.PushWorkspaceRequest(chunk=chunk)
    progress(pack.byte_count, pack.byte_count)
