"""PoolService: the hosts as their links see them, and changes of which hosts are driven."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import empty_pb2

from conductor.api.messages.hosts import host_message, pool_message
from conductor.api.messages.names import host_name, read_host
from conductor.api.messages.tokens import read_page_size, seal, unseal
from conductor.api.presence import HostsView
from conductor.api.request_ids import digest_of, read_request_id
from conductor.core.model.registry import HostEntry, RequestAddHost, RequestDrainHost, RequestRemoveHost
from conductor.core.placing.standing import PoolUse
from conductor.engine.seat import Seat
from conductor.errors import NotFoundError, Violation
from conductor.hosts.liveness import HostLink
from conductor.v1 import pool_service_pb2 as pb
from conductor.v1 import pool_service_pb2_grpc
from servicekit.calls.callers import current_caller
from servicekit.host_settings import read_host as read_host_setting

_LIST = "hosts"
_MAKE_CERTIFICATES = "make them, and start the conductor again:  conductor certs init --data DIR"


@dataclass(frozen=True, slots=True)
class PoolView:
    """Shows the hosts as the conductor sees them now.

    `links` returns their links by name, `registry` returns the hosts that are driven. `count_running` counts this conductor's
    attempts on a host, `count_of_earlier` those that wait for an earlier instance of it. `lost_before` returns since when a host
    must be disconnected to count as lost, `list_uses` how the pools of models' slots are used, `count_queued` how
    many queued steps could run on each host.
    """

    links: Callable[[], Mapping[str, HostLink]]
    registry: Callable[[], Mapping[str, HostEntry]]
    count_running: Callable[[str], int]
    lost_before: Callable[[], float]
    count_of_earlier: Callable[[str], int]
    list_uses: Callable[[], Sequence[PoolUse]]
    count_queued: Callable[[], Mapping[str, int]]

    def names(self) -> Collection[str]:
        """Returns the names of all hosts that have a link."""
        return self.links()

    def hosts(self, *names: str) -> list[pb.Host]:
        """Returns hosts that have a link."""
        uses, queued = self.list_uses(), self.count_queued()
        return [self._host(name, uses, queued.get(name, 0)) for name in names]

    def _host(self, name: str, uses: Sequence[PoolUse], queued: int) -> pb.Host:
        message = host_message(
            self.links()[name].view,
            self.count_running(name),
            self.lost_before(),
            self.count_of_earlier(name),
            self.registry().get(name),
        )
        message.queued = queued
        own = {model.pool for model in message.models}
        message.pools.extend(pool_message(use) for use in uses if use.name in own)
        return message


class PoolServicer(pool_service_pb2_grpc.PoolServiceServicer):
    """Shows and changes the hosts."""

    def __init__(self, view: HostsView, engine: Seat, *, has_tls: bool) -> None:
        self._view = view
        self._engine = engine
        self._has_tls = has_tls

    async def ListHosts(self, request: pb.ListHostsRequest, context: Any) -> pb.ListHostsResponse:
        size = read_page_size(request.page_size)
        after = str(unseal(request.page_token, _LIST, "page_token")[0]) if request.page_token else ""
        names = sorted(name for name in self._view.names() if name > after)
        page = names[:size]
        token = seal(_LIST, page[-1]) if len(names) > size else ""
        return pb.ListHostsResponse(hosts=self._view.hosts(*page), next_page_token=token)

    async def GetHost(self, request: pb.GetHostRequest, context: Any) -> pb.Host:
        return self._find(read_host(request.name))

    async def AddHost(self, request: pb.AddHostRequest, context: Any) -> pb.Host:
        name = request.name.removeprefix("hosts/")
        host, flaws = read_host_setting(name, request.address, has_tls=self._has_tls)
        if "tls" in flaws:
            flaws["address"] = f"{flaws.pop('tls')}; {_MAKE_CERTIFICATES}"
        violations = [Violation(field, text) for field, text in flaws.items()]
        request_id = read_request_id(request.request_id, *violations)
        asked = RequestAddHost(host.name, host.address, request.move, request_id, digest_of(request))
        await self._engine.submit(asked)
        return self._find(host.name)

    async def RemoveHost(self, request: pb.RemoveHostRequest, context: Any) -> empty_pb2.Empty:
        host, request_id = read_host(request.name), read_request_id(request.request_id)
        await self._engine.submit(RequestRemoveHost(host, request.force, request_id, digest_of(request)))
        return empty_pb2.Empty()

    async def DrainHost(self, request: pb.DrainHostRequest, context: Any) -> pb.Host:
        host, request_id = read_host(request.name), read_request_id(request.request_id)
        by = current_caller().identity
        asked = RequestDrainHost(host, by, request.undrain, request_id, digest_of(request))
        await self._engine.submit(asked)
        return self._find(host)

    def _find(self, name: str) -> pb.Host:
        if name not in self._view.names():
            known = ", ".join(host_name(each) for each in sorted(self._view.names())) or "none"
            raise NotFoundError("host", name, hint=f"there are {known}", metadata={"known": known})
        return self._view.hosts(name)[0]
