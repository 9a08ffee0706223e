"""Brings snapshots to one host, over its channel, sending only what the host lacks.

`ensure` asks which commits the host has, and sends a pack that builds upon them. It remembers nothing of a host, so a host that
lost its disk gets everything again. A broken push is resumed by pushing again; objects of a complete push are not sent twice.
Callers that want the same snapshot wait for one push. This module neither chooses hosts nor retries: that is the caller's decision.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import grpc

from agenthost.v1 import snapshot_service_pb2 as pb
from agenthost.v1 import snapshot_service_pb2_grpc as rpc
from conductor.errors import ServiceError
from conductor.snapshots import SnapshotStore
from conductor.snapshots.git import check
from conductor.snapshots.keyed_locks import KeyedLocks
from conductor.snapshots.storing.history import History
from servicekit.statuses import LOST_BY_GRPC, read_refusal

COMMITS_PER_QUESTION = 1000
MAX_PUSHES = 2
QUESTION_SECONDS = 30.0
PUSH_SECONDS = 1800.0
CHUNK_BYTES = 256 * 1024
BASE_MISSING = "BASE_MISSING"
_RETRYABLE = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED"})


class SnapshotPushError(Exception):
    """A host did not take a snapshot. `is_retryable`: the same may work later."""

    def __init__(self, reason: str, message: str, *, is_retryable: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_retryable = is_retryable


@dataclass(frozen=True, slots=True)
class Pushed:
    """Counts what a push sent: nothing, when the host had the snapshot."""

    snapshot: str
    pack_bytes: int = 0


class SnapshotLink:
    """Sends snapshots to one host."""

    def __init__(self, channel: grpc.aio.Channel, snapshots: SnapshotStore, conductor_id: str = "") -> None:
        self._stub: rpc.SnapshotServiceAsyncStub = rpc.SnapshotServiceStub(channel)
        self._snapshots = snapshots
        self._conductor_id = conductor_id
        self._pushing = KeyedLocks()
        self._slots = asyncio.Semaphore(MAX_PUSHES)

    async def ensure(self, commit: str) -> Pushed:
        """Returns when the host has the snapshot checked out; raises SnapshotPushError."""
        async with self._pushing.hold(commit):
            try:
                return await self._ensure(commit)
            except grpc.aio.AioRpcError as error:
                raise _push_error(error) from error
            except ServiceError as error:
                raise SnapshotPushError(error.reason, str(error), is_retryable=error.code in _RETRYABLE) from error

    async def _ensure(self, commit: str) -> Pushed:
        alone = await self._ask((commit,))
        if commit in alone.checked_out:
            return Pushed(commit)
        async with self._slots:
            history = await self._snapshots.history(commit)
            relatives = tuple(
                other for other in await self._snapshots.relatives(commit) if other not in history.parents
            )
            lacking = await self._missing((*history.commits, *relatives))
            have = frozenset(history.commits) - lacking
            bases = tuple(other for other in relatives if other not in lacking)
            try:
                return await self._push(history, have, bases)
            except grpc.aio.AioRpcError as error:
                if not (_is_lost(error) or read_refusal(error).reason == BASE_MISSING):
                    raise
                return await self._push(history, frozenset(), ())

    async def _missing(self, commits: Sequence[str]) -> frozenset[str]:
        pieces = [
            commits[start : start + COMMITS_PER_QUESTION] for start in range(0, len(commits), COMMITS_PER_QUESTION)
        ]
        return frozenset(chain.from_iterable([(await self._ask(piece)).missing for piece in pieces]))

    async def _ask(self, commits: Sequence[str]) -> pb.FindMissingResponse:
        return await self._stub.FindMissing(pb.FindMissingRequest(commits=commits), timeout=QUESTION_SECONDS)

    async def _push(self, history: History, have: frozenset[str], bases: tuple[str, ...]) -> Pushed:
        header = pb.SnapshotHeader(
            snapshot=history.commits[0],
            bases=(*sorted(have), *bases),
            shallow=sorted(history.shallow),
            conductor_id=self._conductor_id,
        )
        async with self._snapshots.pack(history, have, bases) as running:
            call = self._stub.PushSnapshot(timeout=PUSH_SECONDS)
            try:
                with _ends_with_the_call():
                    await call.write(pb.PushSnapshotRequest(header=header))
                    while chunk := await running.read(CHUNK_BYTES):
                        await call.write(pb.PushSnapshotRequest(chunk=chunk))
                    check("pack-objects", await running.finish())
                    await call.done_writing()
                answer = await call
            finally:
                call.cancel()
        return Pushed(answer.snapshot, answer.pack_bytes)


@contextlib.contextmanager
def _ends_with_the_call() -> Iterator[None]:
    """Ends writing where a call has ended: the call itself has its answer, or its status.

    A host that has the snapshot by now, or that refuses, answers before the end and reads no more. grpc.aio then raises one of
    three: InvalidStateError, InternalError at a half-close, or a status of its own making.
    """
    try:
        yield
    except (asyncio.InvalidStateError, grpc.aio.InternalError):
        pass
    except grpc.aio.AioRpcError as error:
        if not _is_lost(error):
            raise


def _is_lost(error: grpc.aio.AioRpcError) -> bool:
    """Says that gRPC lost the host's own status, as in 4 of 100 calls that end while they are written to."""
    return error.details() == LOST_BY_GRPC


def _push_error(error: grpc.aio.AioRpcError) -> SnapshotPushError:
    refusal = read_refusal(error)
    return SnapshotPushError(
        refusal.reason or refusal.code,
        f"the host did not take the snapshot: {refusal.message or refusal.code}",
        is_retryable=refusal.code in _RETRYABLE,
    )
