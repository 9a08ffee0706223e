"""HostService: what this host is, now and on change, a heartbeat whose silence means trouble, and proofs on request."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from agenthost.api.messages import write_agent, write_figures, write_host
from agenthost.config import HEARTBEAT_SECONDS
from agenthost.core.models.rate_limits import LONGEST_WAIT_SECONDS
from agenthost.errors import PreconditionError, ShuttingDownError
from agenthost.host.state import Host
from agenthost.proof.prover import Prover
from agenthost.snapshots.eviction import Eviction
from agenthost.v1 import host_service_pb2 as pb
from agenthost.v1 import host_service_pb2_grpc as pb_grpc
from servicekit.times import length

if TYPE_CHECKING:  # it needs a library that a host without TLS does not load
    from agenthost.api.renewal import CertificateRenewal
    from servicekit.tls.revocations import WatchedRevocations


class HostServicer(pb_grpc.HostServiceServicer):
    """Serves the host."""

    def __init__(
        self,
        host: Host,
        prover: Prover,
        eviction: Eviction,
        revocations: "WatchedRevocations | None" = None,
        *,
        certificate_end: Callable[[], float] = lambda: 0.0,
        keep_quiet: Callable[[str, float], None] = lambda *_: None,
        renewal: "CertificateRenewal | None" = None,
    ) -> None:
        self._host = host
        self._renewal = renewal
        self._keep_quiet = keep_quiet
        self._revocations = revocations
        self._certificate_end = certificate_end
        self._prover = prover
        self._eviction = eviction
        self._watching: set[object] = set()
        self._left = asyncio.Event()

    async def GetHost(self, request: pb.GetHostRequest, context: Any) -> pb.Host:
        """Returns the host as it is now."""
        return self._describe()

    async def CheckAgent(self, request: pb.CheckAgentRequest, context: Any) -> pb.Agent:
        """Proves an agent's sandbox again, and returns the agent with all that was tried."""
        agent, report = await self._prover.check(request.agent)
        return write_agent(agent, report)

    async def ExchangeRevocations(
        self, request: pb.ExchangeRevocationsRequest, context: Any
    ) -> pb.ExchangeRevocationsResponse:
        """Takes a newer list of revoked certificates, or returns a newer one."""
        if self._revocations is None:
            raise PreconditionError(
                "NOT_IN_POOL",
                "this host serves without TLS, so it refuses no certificates",
                hint="let it join the pool:  agenthost join FILE --data DIR",
            )
        from agenthost.api.conductors import exchange  # noqa: PLC0415 (as above)

        number, pem = await exchange(self._revocations, request.number, request.list)
        return pb.ExchangeRevocationsResponse(number=number, list=pem)

    async def RenewCertificate(self, request: pb.RenewCertificateRequest, context: Any) -> pb.RenewCertificateResponse:
        """Returns a request to sign, or takes the certificate that was signed."""
        if self._renewal is None:
            raise PreconditionError(
                "NOT_IN_POOL",
                "this host has no certificate of a pool's own CA",
                hint="let it join the pool:  agenthost join FILE --data DIR",
            )
        if not request.certificate:
            return pb.RenewCertificateResponse(signing_request=await asyncio.to_thread(self._renewal.request))
        answer = pb.RenewCertificateResponse()
        answer.end_time.FromDatetime(await asyncio.to_thread(self._renewal.take, request.certificate))
        return answer

    async def KeepQuiet(self, request: pb.KeepQuietRequest, context: Any) -> pb.KeepQuietResponse:
        """Keeps a pool of this host quiet for a time."""
        seconds = min(length(request.time), LONGEST_WAIT_SECONDS)
        if seconds > 0:
            self._keep_quiet(request.pool, seconds)
        return pb.KeepQuietResponse()

    async def WatchHost(self, request: pb.WatchHostRequest, context: Any) -> AsyncIterator[pb.WatchHostResponse]:
        """Sends the host at once, then on every change; sends a heartbeat in between."""
        watcher = object()
        self._watching.add(watcher)
        try:
            async with contextlib.aclosing(self._changes()) as changes:
                async for response in changes:
                    yield response
        finally:
            self._watching.discard(watcher)
            self._left.set()

    async def say_goodbye(self, seconds: float) -> None:
        """Waits until every watcher has heard that the host stops, for at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._watching:
                    self._left.clear()
                    await self._left.wait()

    async def _changes(self) -> AsyncGenerator[pb.WatchHostResponse, None]:
        sent: pb.Host | None = None
        while True:
            changed = self._host.change.subscribe()
            host = self._describe()
            yield pb.WatchHostResponse() if host == sent else pb.WatchHostResponse(host=host)
            if self._host.stopping:
                raise ShuttingDownError
            sent = host
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await changed.wait()

    def _describe(self) -> pb.Host:
        most = self._host.settings.keeping.snapshots_bytes
        return write_host(self._host, write_figures(self._eviction.figures, most), self._certificate_end())
