"""PoolService: the hosts as their links see them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conductor.api.messages.hosts import host_message, pool_message
from conductor.api.messages.names import host_name, read_host
from conductor.api.messages.tokens import read_page_size, seal, unseal
from conductor.core.placing.standing import PoolUse
from conductor.errors import NotFoundError
from conductor.hosts.liveness import HostLink
from conductor.v1 import pool_service_pb2 as pb
from conductor.v1 import pool_service_pb2_grpc

_LIST = "hosts"


class PoolServicer(pool_service_pb2_grpc.PoolServiceServicer):
    """Shows the hosts.

    `count_running` counts this conductor's attempts on a host; `lost_before` returns since when a host must be disconnected to
    count as lost; `count_of_earlier` counts the attempts that wait for an earlier instance of a host; `list_uses` returns how the
    pools of models' slots are used.
    """

    def __init__(
        self,
        links: Mapping[str, HostLink],
        count_running: Callable[[str], int],
        lost_before: Callable[[], float],
        count_of_earlier: Callable[[str], int],
        list_uses: Callable[[], Sequence[PoolUse]],
    ) -> None:
        self._links = links
        self._count_running = count_running
        self._lost_before = lost_before
        self._count_of_earlier = count_of_earlier
        self._list_uses = list_uses

    async def ListHosts(self, request: pb.ListHostsRequest, context: Any) -> pb.ListHostsResponse:
        size = read_page_size(request.page_size)
        after = str(unseal(request.page_token, _LIST, "page_token")[0]) if request.page_token else ""
        names = sorted(name for name in self._links if name > after)
        page = names[:size]
        token = seal(_LIST, page[-1]) if len(names) > size else ""
        return pb.ListHostsResponse(hosts=self._hosts(*page), next_page_token=token)

    async def GetHost(self, request: pb.GetHostRequest, context: Any) -> pb.Host:
        name = read_host(request.name)
        if name not in self._links:
            known = ", ".join(host_name(each) for each in sorted(self._links)) or "none"
            raise NotFoundError("host", name, hint=f"there are {known}", metadata={"known": known})
        return self._hosts(name)[0]

    def _hosts(self, *names: str) -> list[pb.Host]:
        uses = self._list_uses()
        return [self._host(name, uses) for name in names]

    def _host(self, name: str, uses: Sequence[PoolUse]) -> pb.Host:
        of_earlier = self._count_of_earlier(name)
        message = host_message(self._links[name].view, self._count_running(name), self._lost_before(), of_earlier)
        own = {model.pool for model in message.models}
        message.pools.extend(pool_message(use) for use in uses if use.name in own)
        return message
