"""A gRPC server with what both services need: options, interceptor, health, reflection, and a lock beside its unix socket.

It owns listening and stopping, and no state of the application: its owner stops its own parts in between.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc

from servicekit.addresses import Address, SocketLock, unusable
from servicekit.calls.callers import Admit
from servicekit.calls.health_servicer import HealthServicer
from servicekit.calls.interceptor import StatusInterceptor
from servicekit.calls.reflection import ReflectionServicer
from servicekit.calls.rooms import MAX_CALLS
from servicekit.channels import SERVER_OPTIONS

if TYPE_CHECKING:  # they need libraries that not every server loads
    from servicekit.calls.descriptors import DescriptorLibrary
    from servicekit.tls.front import Front

LAST_CALLS_SECONDS = 0.5
# How often the callers of open calls are looked at: a stream may live longer than its caller's certificate or token.
SWEEP_SECONDS = 10.0

# `add_XServicer_to_server` of a generated module, and the servicer for it.
Registration = tuple[Callable[[Any, Any], None], object]

_log = structlog.get_logger()


class Server:
    """Serves some servicers at an address."""

    def __init__(
        self, address: Address, registrations: Sequence[Registration], service: str, admit: Admit | None = None
    ) -> None:
        self._address = address
        self._front: Front | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._interceptor = StatusInterceptor(service, admit)
        self._load_library = cache(partial(_load_library, service))
        self._health = HealthServicer(lambda: self._load_library().services)
        self._lock = SocketLock(address.socket) if address.socket else None
        self._server = self._built(registrations)
        self._port = 0

    @classmethod
    async def start(
        cls,
        address: Address,
        registrations: Sequence[Registration],
        *,
        service: str,
        admit: Admit | None = None,
        tls: "grpc.ServerCredentials | Front | None" = None,
    ) -> Self:
        """Listens and serves; raises AddressInUseError when another process listens there, AddressError when none can.

        `service` is the package whose descriptors are served and whose name stands in errors: `conductor`, `agenthost`.
        `admit` decides about each call, those of health and reflection too; without it every call is served. `tls` is for
        addresses of TCP: credentials of gRPC, which require a client certificate, or a front, which does not.
        """
        if admit is not None and tls is not None and not isinstance(tls, grpc.ServerCredentials):
            admit = tls.noting(admit)
        server = cls(address, registrations, service, admit)
        await server._listen(tls)
        if admit is not None:
            server._sweeping = asyncio.get_running_loop().create_task(server._keep_sweeping())
        return server

    @property
    def address(self) -> Address:
        """The address that it listens on, with the port that port 0 became."""
        if self._address.socket:
            return self._address
        return Address.parse(f"{self._address.text.rpartition(':')[0]}:{self._port}", is_anywhere=True)

    @property
    def target(self) -> str:
        """That address, for a channel of gRPC."""
        return self.address.target

    async def tell_stopping(self) -> None:
        """Makes health say NOT_SERVING; calls are still served. Returns when the watchers of health have heard it."""
        await self._health.tell_stopping()

    async def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, ends streams, gives other calls some time; returns when the last handler has cleaned up."""
        await self.tell_stopping()
        if self._sweeping:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
        await self._interceptor.end_calls(grace_seconds)
        # Handlers refuse the calls that came meanwhile; without a moment for that, they would end as CANCELLED.
        await self._server.stop(LAST_CALLS_SECONDS)
        await self._interceptor.end_calls(0)
        if self._front:
            await self._front.close()
        if self._lock:
            self._lock.release()

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self._interceptor.sweep()
            except Exception:  # noqa: BLE001 - a task's top: the next sweep tries again
                _log.exception("sweep_failed")

    def _built(self, registrations: Sequence[Registration]) -> grpc.aio.Server:
        server = grpc.aio.server(
            interceptors=(self._interceptor,),
            options=SERVER_OPTIONS,
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        for add, servicer in registrations:
            add(servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        ReflectionServicer(self._load_library).add_to(server)
        return server

    async def _listen(self, tls: "grpc.ServerCredentials | Front | None") -> None:
        if tls is None or self._address.socket:
            self._bind()
        elif isinstance(tls, grpc.ServerCredentials):
            self._bind(tls)
        else:
            self._front = tls
            self._server.add_insecure_port(f"unix:{tls.inner}")
            self._port = await tls.listen(self._address)
        await self._server.start()

    def _bind(self, credentials: grpc.ServerCredentials | None = None) -> None:
        if self._lock:
            self._lock.acquire()
        try:
            if credentials is None:
                self._port = self._server.add_insecure_port(self._address.target)
            else:
                self._port = self._server.add_secure_port(self._address.target, credentials)
        except RuntimeError as error:
            if self._lock:
                self._lock.release()
            raise unusable(self._address) from error
        if self._address.socket:
            self._address.socket.chmod(0o600)


def _load_library(service: str) -> "DescriptorLibrary":
    from servicekit.calls.descriptors import DescriptorLibrary  # noqa: PLC0415 (an idle server does without it)

    return DescriptorLibrary.load(service)
