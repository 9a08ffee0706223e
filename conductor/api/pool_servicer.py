"""PoolService: the hosts as their links see them."""

from collections.abc import Callable, Mapping
from typing import Any

from conductor.api.messages.hosts import host_message
from conductor.api.messages.names import host_name, read_host
from conductor.api.messages.tokens import read_page_size, seal, unseal
from conductor.errors import NotFoundError
from conductor.hosts.liveness import HostLink
from conductor.v1 import pool_service_pb2 as pb
from conductor.v1 import pool_service_pb2_grpc

_LIST = "hosts"


class PoolServicer(pool_service_pb2_grpc.PoolServiceServicer):
    """Shows the hosts.

    `count_running` counts this conductor's attempts on a host; `lost_before` returns since when a host must be disconnected to
    count as lost; `count_of_earlier` counts the attempts that wait for an earlier instance of a host.
    """

    def __init__(
        self,
        links: Mapping[str, HostLink],
        count_running: Callable[[str], int],
        lost_before: Callable[[], float],
        count_of_earlier: Callable[[str], int],
    ) -> None:
        self._links = links
        self._count_running = count_running
        self._lost_before = lost_before
        self._count_of_earlier = count_of_earlier

    async def ListHosts(self, request: pb.ListHostsRequest, context: Any) -> pb.ListHostsResponse:
        size = read_page_size(request.page_size)
        after = str(unseal(request.page_token, _LIST, "page_token")[0]) if request.page_token else ""
        names = sorted(name for name in self._links if name > after)
        page = names[:size]
        token = seal(_LIST, page[-1]) if len(names) > size else ""
        return pb.ListHostsResponse(hosts=[self._host(name) for name in page], next_page_token=token)

    async def GetHost(self, request: pb.GetHostRequest, context: Any) -> pb.Host:
        name = read_host(request.name)
        if name not in self._links:
            known = ", ".join(host_name(each) for each in sorted(self._links)) or "none"
            raise NotFoundError("host", name, hint=f"there are {known}", metadata={"known": known})
        return self._host(name)

    def _host(self, name: str) -> pb.Host:
        of_earlier = self._count_of_earlier(name)
        return host_message(self._links[name].view, self._count_running(name), self._lost_before(), of_earlier)
