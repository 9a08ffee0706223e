"""Servers without services that speak by TLS with certificates of a test's choice, all in one thread."""

import asyncio
import threading
from collections.abc import Awaitable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from agenthost.api.conductors import door_of as host_door
from conductor.api.access.door import door_of as conductor_door
from conductor.v1 import pool_service_pb2, pool_service_pb2_grpc
from servicekit.addresses import Address
from servicekit.calls.callers import Caller
from servicekit.errors import UnauthenticatedError
from servicekit.server import Registration, Server
from servicekit.tls.admission import WhyRefused
from servicekit.tls.credentials import WatchedFiles
from servicekit.tls.files import TlsFiles, write_whole
from servicekit.tls.issuing.authority import Authority, Request, client_request, conductor_requests, host_request

Result = TypeVar("Result")
POOL, ID = "home", "0123456789abcdef0123456789"
SERVING, CALLING = conductor_requests(POOL, "study", ID, ("127.0.0.1",))
ALPHA, BETA = host_request(POOL, "alpha"), host_request(POOL, "beta")
ANN = client_request(POOL, "ann", "operator")
ENDED, EARLY = timedelta(days=-100), timedelta(days=100)


@dataclass
class Pool:
    """A CA, another one, and a folder for files of certificates that they sign."""

    folder: Path
    ca: Authority = field(default_factory=lambda: Authority.make(POOL, datetime.now(UTC)))
    other: Authority = field(default_factory=lambda: Authority.make(POOL, datetime.now(UTC)))
    serials: dict[str, int] = field(default_factory=dict)

    def files(
        self,
        name: str,
        request: Request,
        *,
        of: Authority | None = None,
        after: timedelta = timedelta(),
        ca: Authority | None = None,
    ) -> TlsFiles:
        """Issues a certificate; its files trust `ca`, which is the pool's unless another is given."""
        issued = (of or self.ca).issue(request, datetime.now(UTC) + after)
        self.serials[name] = issued.serial
        files = TlsFiles(*(self.folder / f"{name}{end}" for end in ("-ca.pem", ".pem", "-key.pem")))
        write_whole(files.ca, (ca or self.ca).certificate_pem)
        write_whole(files.certificate, issued.certificate)
        write_whole(files.key, issued.key)
        return files


class NoHosts(pool_service_pb2_grpc.PoolServiceServicer):
    """A pool without hosts."""

    async def ListHosts(  # type: ignore[override] # noqa: N802
        self, request: pool_service_pb2.ListHostsRequest, context: object
    ) -> pool_service_pb2.ListHostsResponse:
        return pool_service_pb2.ListHostsResponse()


SERVICES: list[Registration] = [(pool_service_pb2_grpc.add_PoolServiceServicer_to_server, NoHosts())]


def _refusing(revoked: Collection[int]) -> WhyRefused:
    return lambda facts: "was revoked" if facts.serial in revoked else ""


class Servers:
    """Runs servers in a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._servers: list[Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Awaitable[Result]) -> Result:
        """Does something in the loop."""

        async def waited() -> Result:
            return await work

        return asyncio.run_coroutine_threadsafe(waited(), self._loop).result(30)

    def conductor(self, files: TlsFiles | None, revoked: Collection[int] = ()) -> str:
        """Serves as a conductor does; returns the address."""
        return self.run(self._serve_as_conductor(files, revoked))

    async def _serve_as_conductor(self, files: TlsFiles | None, revoked: Collection[int]) -> str:
        address = Address.parse("127.0.0.1:0")
        if files is None:
            return self._kept(await Server.start(address, SERVICES, service="conductor"))
        data = self._folder / files.certificate.stem
        data.mkdir(exist_ok=True)
        door = conductor_door(WatchedFiles(files), data, _refusing(revoked))

        def admit(_: str, context: object) -> Caller:
            if (caller := door.known(context)) is None:
                raise UnauthenticatedError
            return caller

        return self._kept(await Server.start(address, SERVICES, service="conductor", admit=admit, tls=door.front))

    def host(self, files: TlsFiles | None, revoked: Collection[int] = ()) -> str:
        """Serves as a host does; returns the address."""
        return self.run(self._serve_as_host(files, revoked))

    async def _serve_as_host(self, files: TlsFiles | None, revoked: Collection[int]) -> str:
        address = Address.parse("127.0.0.1:0")
        if files is None:
            return self._kept(await Server.start(address, [], service="agenthost"))
        door = host_door(WatchedFiles(files), _refusing(revoked))
        return self._kept(await Server.start(address, [], service="agenthost", admit=door.admit, tls=door.credentials))

    def _kept(self, server: Server) -> str:
        self._servers.append(server)
        return server.address.text

    def close(self) -> None:
        for server in self._servers:
            self.run(server.stop(0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Yields servers, and stops them all."""
    servers = Servers(folder)
    try:
        yield servers
    finally:
        servers.close()
