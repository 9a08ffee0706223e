"""WorkspaceService: takes snapshots that callers push. It translates between messages and the store of pushed snapshots."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import structlog

from conductor.api.messages.pushes import pushed_message, read_offer, read_pack
from conductor.errors import InvalidRequestError, NoCapacityError, PushSupersededError, Violation
from conductor.snapshots.pushed.limits import MAX_CHUNK_BYTES
from conductor.snapshots.pushed.partial_pack import PartialPack
from conductor.snapshots.pushed.store import PushedSnapshots
from conductor.v1 import workspace_service_pb2 as pb
from conductor.v1 import workspace_service_pb2_grpc
from servicekit.calls.callers import current_caller
from servicekit.packs.pushes import Push, Pushes
from servicekit.threads import in_thread

GOODBYE_SECONDS = 2.0
MAX_CALLS_OF_CALLER = 8
MAX_CALLS = 64
MAX_ANSWERED = 4  # offers at once: each takes a git process

_log = structlog.get_logger(__name__)

_Requests = AsyncIterator[pb.PushWorkspaceRequest]


class WorkspaceServicer(workspace_service_pb2_grpc.WorkspaceServiceServicer):
    """Serves one store of pushed snapshots."""

    def __init__(self, pushed: PushedSnapshots) -> None:
        self._pushed = pushed
        self._pushes = Pushes()
        self._answering = asyncio.Semaphore(MAX_ANSWERED)
        self._calls = Counter[str]()
        self._newest: dict[tuple[str, str], Push] = {}

    async def PushWorkspace(self, request_iterator: _Requests, context: Any) -> AsyncIterator[pb.PushWorkspaceResponse]:
        """Takes a snapshot in."""
        caller = current_caller().identity
        with self._counted(caller):
            async with contextlib.aclosing(self._take(caller, request_iterator)) as answers:
                async for answer in answers:
                    yield answer

    async def _take(self, caller: str, request_iterator: _Requests) -> AsyncGenerator[pb.PushWorkspaceResponse]:
        requests, push = aiter(request_iterator), Push(caller)
        offer = read_offer(await push.next(requests))
        async with self._answering:
            store = await self._pushed.of(caller)
            record, received = await store.find(offer.snapshot), 0
            missing = [] if record else await store.missing(offer.commits)
        if record is None:
            yield pb.PushWorkspaceResponse(missing=pb.MissingCommits(commits=missing))
            digest, byte_count = read_pack(await push.next(requests))
            async with self._turn((caller, digest), push), store.receiving(digest, byte_count) as partial:
                # An older call with the same pack, whose connection is lost, may have brought it meanwhile.
                record = await store.find(offer.snapshot)
                if record is None:
                    before = partial.received_bytes
                    yield pb.PushWorkspaceResponse(position=pb.PackPosition(received_bytes=before))
                    await self._receive(requests, partial, push)
                    received = partial.received_bytes - before
                    record = await store.land(offer, partial)
                    _log.info("workspace_pushed", caller=caller, snapshot=offer.snapshot, bytes=received)
        yield pb.PushWorkspaceResponse(pushed=pushed_message(record, received, self._pushed.keep_seconds))
        await _until_closed(requests)

    @contextlib.contextmanager
    def _counted(self, caller: str) -> Iterator[None]:
        """Counts a call before its offer is read: offers are large, and many that wait would fill the memory."""
        if self._calls[caller] >= MAX_CALLS_OF_CALLER or self._calls.total() >= MAX_CALLS:
            raise NoCapacityError(
                f"{self._calls[caller]} pushes of this caller are offered already; end one, or try again"
            )
        self._calls[caller] += 1
        try:
            yield
        finally:
            self._calls[caller] -= 1
            if not self._calls[caller]:
                del self._calls[caller]

    @contextlib.asynccontextmanager
    async def _turn(self, key: tuple[str, str], push: Push) -> AsyncIterator[None]:
        """Holds a place for a push. A newer call with the same pack ends the older one, whose connection may be lost."""
        if older := self._newest.get(key):
            older.displace(PushSupersededError())
        self._newest[key] = push
        try:
            async with self._pushes.place(push):
                yield
        finally:
            if self._newest.get(key) is push:
                del self._newest[key]

    async def _receive(self, requests: _Requests, partial: PartialPack, push: Push) -> None:
        while not partial.is_whole:
            request = await push.next(requests)
            if request is None:
                raise InvalidRequestError(
                    Violation("chunk", "is missing: the call was closed before the pack was whole")
                )
            if request.WhichOneof("part") != "chunk":
                raise InvalidRequestError(
                    Violation("chunk", "is missing: an offer comes once, and chunks come after it")
                )
            if not 0 < len(request.chunk) <= MAX_CHUNK_BYTES:
                raise InvalidRequestError(Violation("chunk", f"must have 1 to {MAX_CHUNK_BYTES} bytes"))
            push.count(len(request.chunk))
            await in_thread(partial.write, request.chunk)


async def _until_closed(requests: _Requests) -> None:
    """Reads until the caller closes its side: a call that the server ends first may lose its status."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE_SECONDS):
            while await anext(requests, None) is not None:
                pass
