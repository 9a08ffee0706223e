"""Renews certificates before they end, while the conductor runs: its own, and those of the hosts that it reaches.

A host makes its key, and the CA in the conductor's folder signs it. What fails is tried again an hour later; `conductor doctor` and
`conductor hosts` show what ends soon all the same.
"""

import asyncio
import time
import weakref
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import grpc
import structlog

from agenthost.v1 import host_service_pb2 as pb
from agenthost.v1.host_service_pb2_grpc import HostServiceStub
from conductor.hosts.short_calls import ChannelClosedError, call_once
from servicekit.statuses import read_refusal
from servicekit.tls.files import TlsError
from servicekit.tls.issuing.authority import RENEWED_BEFORE_SECONDS

if TYPE_CHECKING:  # names of stubs, and what calls this
    from collections.abc import Iterable

    from agenthost.v1.host_service_pb2_grpc import HostServiceAsyncStub
    from conductor.hosts.channels import HostChannel

ROUND_SECONDS = 3600.0
CALL_SECONDS = 10.0

# Returns the new end where the conductor's own certificates were renewed.
RenewOwn = Callable[[], datetime | None]
# Signs a host's request; returns the certificate. Both block, and raise TlsError.
Sign = Callable[[str, bytes], bytes]

_log = structlog.get_logger(__name__)


class Renewal:
    """Renews what ends soon."""

    def __init__(self, renew_own: RenewOwn, sign: Sign) -> None:
        self._renew_own = renew_own
        self._sign = sign
        self._own_at = 0.0
        self._tried: weakref.WeakKeyDictionary[HostChannel, float] = weakref.WeakKeyDictionary()

    async def renew(self, channels: "Iterable[HostChannel]") -> None:
        """Renews what is due now."""
        now = time.time()
        if now >= self._own_at:
            self._own_at = now + ROUND_SECONDS
            await self._own()
        due = [each for each in channels if self._is_due(each, now)]
        self._tried.update((channel, now) for channel in due)
        await asyncio.gather(*map(self._host, due))

    def _is_due(self, channel: "HostChannel", now: float) -> bool:
        ends_soon = channel.end is not None and 0 < channel.end - now <= RENEWED_BEFORE_SECONDS
        return ends_soon and now >= self._tried.get(channel, 0.0) + ROUND_SECONDS

    async def _own(self) -> None:
        try:
            end = await asyncio.to_thread(self._renew_own)
        except TlsError as error:
            _log.warning("certificate_not_renewed", problem=str(error), hint=error.hint)
        else:
            if end is not None:
                _log.info("certificate_renewed", until=end.isoformat())

    async def _host(self, channel: "HostChannel") -> None:
        stub: HostServiceAsyncStub = HostServiceStub(channel)  # type: ignore[call-overload] # it has what a stub needs
        try:
            asked = await call_once(stub.RenewCertificate, pb.RenewCertificateRequest(), CALL_SECONDS)
            certificate = await asyncio.to_thread(self._sign, channel.name, asked.signing_request)
            given = pb.RenewCertificateRequest(certificate=certificate)
            taken = await call_once(stub.RenewCertificate, given, CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:  # a host of an earlier version
                _log.warning("host_not_renewed", host=channel.name, problem=read_refusal(error).message)
        except ChannelClosedError:
            return
        except TlsError as error:
            _log.warning("host_not_renewed", host=channel.name, problem=str(error), hint=error.hint)
        else:
            channel.next_look = 0.0
            _log.info("host_renewed", host=channel.name, until=taken.end_time.ToJsonString())
