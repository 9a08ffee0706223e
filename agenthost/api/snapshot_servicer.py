"""`agenthost.v1.SnapshotService`: translates between messages and the snapshot store, and decides nothing."""

from collections.abc import AsyncIterator
from typing import Any

from agenthost.api.first_message import first_of
from agenthost.errors import InvalidRequestError, Violation
from agenthost.host.fences import require_own_id
from agenthost.snapshots.packs import Offer
from agenthost.snapshots.store import SnapshotStore
from agenthost.v1 import snapshot_service_pb2 as pb
from agenthost.v1 import snapshot_service_pb2_grpc as rpc
from servicekit.packs.pushes import HEADER_SECONDS, Push

MAX_COMMITS = 1000
MAX_NAME = 64  # of a conductor's id
MAX_CHUNK_BYTES = 1024 * 1024


class SnapshotServicer(rpc.SnapshotServiceServicer):
    """Serves one store."""

    def __init__(self, snapshots: SnapshotStore) -> None:
        self._snapshots = snapshots

    async def FindMissing(self, request: pb.FindMissingRequest, context: Any) -> pb.FindMissingResponse:
        """Tells which commits this host lacks."""
        if len(request.commits) > MAX_COMMITS:
            raise InvalidRequestError(Violation("commits", f"must be at most {MAX_COMMITS}"))
        found = await self._snapshots.find_missing(tuple(request.commits))
        return pb.FindMissingResponse(missing=found.missing, checked_out=found.checked_out)

    async def PushSnapshot(
        self, request_iterator: AsyncIterator[pb.PushSnapshotRequest], context: Any
    ) -> pb.PushSnapshotResponse:
        """Takes a snapshot in."""
        requests = aiter(request_iterator)
        first = await first_of(requests, HEADER_SECONDS)
        if first is None or first.WhichOneof("part") != "header":
            raise InvalidRequestError(Violation("header", "must come first"))
        offer = Offer(first.header.snapshot, tuple(first.header.bases), tuple(first.header.shallow))
        if first.header.conductor_id:
            require_own_id(first.header.conductor_id)
        push = Push(first.header.conductor_id[:MAX_NAME] or context.peer())
        ready = await self._snapshots.receive(offer, _chunks(requests, push), push)
        return pb.PushSnapshotResponse(
            snapshot=ready.snapshot,
            pack_bytes=ready.pack_bytes,
            file_count=ready.file_count,
            byte_count=ready.byte_count,
        )


async def _chunks(requests: AsyncIterator[pb.PushSnapshotRequest], push: Push) -> AsyncIterator[bytes]:
    while (request := await push.next(requests)) is not None:
        if request.WhichOneof("part") != "chunk":
            raise InvalidRequestError(Violation("header", "must come once"))
        if len(request.chunk) > MAX_CHUNK_BYTES:
            raise InvalidRequestError(Violation("chunk", f"must be at most {MAX_CHUNK_BYTES} bytes"))
        push.count(len(request.chunk))
        yield request.chunk
