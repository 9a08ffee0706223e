"""Exchanges the list of revoked certificates with hosts: the newer one wins on both sides.

So a revocation reaches every host, and by way of hosts every other conductor of the pool. The pool's CA signed the list, so no host
can forge one.
"""

import asyncio
import weakref
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from agenthost.v1 import host_service_pb2 as pb
from agenthost.v1.host_service_pb2_grpc import HostServiceStub
from conductor.hosts.short_calls import ChannelClosedError, call_once
from servicekit.statuses import read_refusal
from servicekit.tls.files import TlsError
from servicekit.tls.identity import Identity, Kind
from servicekit.tls.revocations import RevocationFile, WatchedRevocations

if TYPE_CHECKING:  # names of stubs, and what calls this
    from collections.abc import Iterable

    from agenthost.v1.host_service_pb2_grpc import HostServiceAsyncStub
    from conductor.hosts.channels import HostChannel

CALL_SECONDS = 5.0
# A host may have heard of a newer list from another conductor.
ASK_AGAIN_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class RevocationExchange:
    """Keeps this conductor's list and those of its hosts equal."""

    def __init__(self, pool: str, file: RevocationFile) -> None:
        """Reads the list; raises TlsError where it cannot be used."""
        self._pool = pool
        self._revocations = WatchedRevocations(file)
        self._told: weakref.WeakKeyDictionary[HostChannel, tuple[int, float]] = weakref.WeakKeyDictionary()
        self._refused: weakref.WeakKeyDictionary[HostChannel, int] = weakref.WeakKeyDictionary()

    def is_revoked_host(self, name: str) -> bool:
        """Returns whether the host of that name must not be dialled."""
        return Identity(self._pool, Kind.HOST, name) in self._revocations.current.hosts

    async def exchange(self, channels: "Iterable[HostChannel]") -> None:
        """Exchanges lists with the hosts that do not have this one yet, or were not asked for long."""
        now, number = asyncio.get_running_loop().time(), self._revocations.current.number
        due = [each for each in channels if self._is_due(each, number, now)]
        for channel, held in zip(due, await asyncio.gather(*map(self._with_host, due)), strict=True):
            if held is not None:
                self._told[channel] = held, now

    def _is_due(self, channel: "HostChannel", number: int, now: float) -> bool:
        told, at = self._told.get(channel, (-1, now))
        return (told != number or now - at >= ASK_AGAIN_SECONDS) and not self.is_revoked_host(channel.name)

    async def _with_host(self, channel: "HostChannel") -> int | None:
        """Exchanges lists with one host; returns the number that both have, None where that is not known."""
        stub: HostServiceAsyncStub = HostServiceStub(channel)  # type: ignore[call-overload] # it has what a stub needs
        own = self._revocations.current.number
        try:
            asked = pb.ExchangeRevocationsRequest(number=own)
            answer = await call_once(stub.ExchangeRevocations, asked, CALL_SECONDS)
            if answer.list:
                await asyncio.to_thread(self._revocations.file.accept, answer.list)
            elif answer.number < own:
                request = pb.ExchangeRevocationsRequest(number=own, list=self._revocations.file.pem())
                answer = await call_once(stub.ExchangeRevocations, request, CALL_SECONDS)
                _log.info("revocations_sent", host=channel.name, number=answer.number)
        except grpc.aio.AioRpcError as error:
            return self._failed(channel, own, error)
        except ChannelClosedError:  # removed meanwhile, or dialled again
            return None
        except TlsError as error:
            self._warn(channel, own, str(error))
            return None
        return answer.number

    def _failed(self, channel: "HostChannel", own: int, error: Any) -> int | None:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:  # a host of an earlier version
            return own
        if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            self._warn(channel, own, read_refusal(error).message)
        return None

    def _warn(self, channel: "HostChannel", own: int, problem: str) -> None:
        if self._refused.get(channel) != own:
            self._refused[channel] = own
            _log.warning("revocations_not_exchanged", host=channel.name, number=own, problem=problem)
