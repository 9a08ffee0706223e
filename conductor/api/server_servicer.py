"""ServerService: facts about this server."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from conductor.api.fixed_limits import fixed_limits
from conductor.v1 import server_service_pb2 as pb
from conductor.v1 import server_service_pb2_grpc
from servicekit.calls.callers import current_caller
from servicekit.times import timestamp

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The facts that do not change while the server runs."""

    version: str
    conductor_id: str
    start_time: float
    settings: Mapping[str, str]
    store: str


@dataclass(frozen=True, slots=True)
class ServerRole:
    """Whether this server is the active one, with the epoch and the address of the one that is.

    The others are of a shared database: how long the lease lasts, how old is what a standby shows, why nothing is answered.
    """

    is_active: bool
    epoch: int
    active_address: str
    lease_seconds: float = 0.0
    lag_seconds: float = 0.0
    store_problem: str = ""


class ServerServicer(server_service_pb2_grpc.ServerServiceServicer):
    """Describes this server. `count_unfinished` counts the runs that have not ended."""

    def __init__(
        self,
        facts: ServerFacts,
        role: Callable[[], ServerRole],
        address: Callable[[], str],
        count_unfinished: Callable[[], int],
        hand_over: Callable[[], Awaitable[None]],
    ) -> None:
        self._facts = facts
        self._role = role
        self._address = address
        self._count_unfinished = count_unfinished
        self._hand_over = hand_over

    async def HandOver(self, request: pb.HandOverRequest, context: Any) -> pb.ServerInfo:
        _log.info("hand_over_asked", by=current_caller().identity)
        await self._hand_over()
        return self._describe()

    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Any) -> pb.ServerInfo:
        return self._describe()

    def _describe(self) -> pb.ServerInfo:
        role = self._role()
        return pb.ServerInfo(
            version=self._facts.version,
            conductor_id=self._facts.conductor_id,
            epoch=role.epoch,
            start_time=timestamp(self._facts.start_time),
            address=self._address(),
            unfinished_runs=self._count_unfinished(),
            settings=self._facts.settings,
            limits=fixed_limits(),
            caller=current_caller().identity,
            caller_role=current_caller().role,
            role="active" if role.is_active else "standby",
            store=self._facts.store,
            active_address=role.active_address,
            lease_seconds=role.lease_seconds,
            lag_seconds=role.lag_seconds,
            store_problem=role.store_problem,
        )
