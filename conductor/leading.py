"""Decides when this conductor is the active one: always on a store of its own, and else while it holds the lease."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from conductor.api.server_servicer import ServerRole
from conductor.core.lease.model import Role
from conductor.core.model.conductor_state import ConductorState
from conductor.engine.recovery import read_shared_time, read_state
from conductor.engine.seat import Seat
from conductor.errors import NotActiveError, PreconditionError
from conductor.hosts.liveness import HostLink
from conductor.lease.following import Following
from conductor.lease.keeper import LeaseKeeper
from conductor.registrations import Opened
from conductor.store.shared import Claim, SharedStore
from conductor.telemetry.sources import Standing
from conductor.tenure import Tenure

# How long a takeover waits for hosts to hear its epoch; those that are away hear it when they are back.
PRESENT_SECONDS = 1.5

# Makes a tenure of what recovery read, and of what tells whether the lease is held.
MakeTenure = Callable[[ConductorState, Callable[[], bool]], Tenure]


class Lead(Protocol):
    """The active time of one process."""

    @property
    def state(self) -> ConductorState:
        """The state that a standby follows."""

    @property
    def presence(self) -> bytes:
        """The hosts as the active conductor keeps them for standbys."""

    @property
    def links(self) -> Mapping[str, HostLink]:
        """The links to hosts by name; a standby has none."""

    def role(self) -> ServerRole:
        """Returns the role of this conductor."""

    def standing(self) -> Standing:
        """Returns the same for metrics."""

    def refusal(self) -> NotActiveError:
        """Returns the error of what only the active conductor does."""

    def listen(self, address: str) -> None:
        """Notes where callers reach this conductor."""

    async def run(self) -> None:
        """Works until `end`; a failure comes out."""

    async def begun(self) -> None:
        """Returns when the role at the start is known, at the latest after some seconds."""

    async def hand_over(self) -> None:
        """Makes this conductor a standby. Raises PreconditionError where none can follow it."""

    async def leave(self) -> None:
        """Gives the lease away for good, before the server stops."""

    def end(self) -> None:
        """Lets `run` return, after everything that waits is stored."""


class SoleLead:
    """Leads from the start of the process to its end."""

    def __init__(self, tenure: Tenure, epoch: int) -> None:
        self.state = ConductorState()
        self.presence = b""
        self._tenure = tenure
        self._epoch = epoch
        self._address = ""

    @property
    def links(self) -> Mapping[str, HostLink]:
        """The links to hosts by name."""
        return self._tenure.ring.hosts

    def role(self) -> ServerRole:
        """Returns the active role."""
        return ServerRole(is_active=True, epoch=self._epoch, active_address=self._address)

    def standing(self) -> Standing:
        """Returns the active role."""
        return Standing(is_active=True)

    def refusal(self) -> NotActiveError:
        """Returns the error of requests before the engine works."""
        return NotActiveError()

    def listen(self, address: str) -> None:
        """Notes where callers reach this conductor."""
        self._address = address

    async def run(self) -> None:
        """Works until `end`."""
        await self._tenure.run(lambda: None)

    async def begun(self) -> None:
        """Returns at once."""

    async def hand_over(self) -> None:
        """Refuses: no other conductor can follow."""
        text = "this conductor's store is a file on its machine, so no other conductor can take over"
        raise PreconditionError("STORE_NOT_SHARED", text, hint="several conductors share a PostgreSQL database")

    async def leave(self) -> None:
        """Leads on until the last call has ended."""

    def end(self) -> None:
        """Lets `run` return."""
        self._tenure.end()


class SharedLead:
    """Leads while it holds the lease, and follows otherwise."""

    def __init__(
        self,
        store: SharedStore,
        opened: Opened,
        claim: Claim,
        seat: Seat,
        *,
        following: Following,
        make_tenure: MakeTenure,
    ) -> None:
        self._store = store
        self._opened = opened
        self._seat = seat
        self._following = following
        self._make_tenure = make_tenure
        self._tenure: Tenure | None = None
        self._keeper = LeaseKeeper(store, claim, self._lead, self._end_tenure)
        self._ending = asyncio.Event()
        self._me = claim.holder

    @property
    def state(self) -> ConductorState:
        """The state that is followed."""
        return self._following.state

    @property
    def presence(self) -> bytes:
        """The hosts as the active conductor sees them."""
        return self._following.presence

    @property
    def links(self) -> Mapping[str, HostLink]:
        """The links to hosts by name; a standby has none."""
        return {} if self._tenure is None else self._tenure.ring.hosts

    def role(self) -> ServerRole:
        """Returns the role of this conductor, and what it knows of the active one."""
        keeper = self._keeper
        is_active = self._seat.engine is not None and keeper.role is Role.ACTIVE and keeper.may_send()
        return ServerRole(
            is_active=is_active,
            epoch=keeper.told.epoch,
            active_address=self._active_address(),
            lease_seconds=keeper.lease_left(),
            lag_seconds=0.0 if is_active else self._following.lag(),
            store_problem=keeper.problem,
        )

    def standing(self) -> Standing:
        """Returns the role, the lease and how old is what is followed."""
        role = self.role()
        return Standing(role.is_active, role.lease_seconds, role.lag_seconds)

    def refusal(self) -> NotActiveError:
        """Returns the error of requests, which names the active conductor."""
        is_mine = self._keeper.told.holder == self._me
        return NotActiveError("" if is_mine else self._active_address(), self._keeper.problem)

    def _active_address(self) -> str:
        """Returns where the holder of the lease is. While the database does not answer, a lease that has run out has none."""
        told, is_known = self._keeper.told, not self._keeper.problem or self._keeper.lease_left() > 0
        return told.address if told.left > 0 and is_known else ""

    def listen(self, address: str) -> None:
        """Notes where callers reach this conductor."""
        self._keeper.claim_at(address)

    async def run(self) -> None:
        """Works until `end`."""
        async with asyncio.TaskGroup() as tasks:
            parts = (self._store.hear_others(), self._following.run(), self._keeper.run())
            working = [tasks.create_task(part) for part in parts]
            await self._ending.wait()
            for task in working:
                task.cancel()

    async def begun(self) -> None:
        """Returns when this conductor is the active one, or knows that another is."""
        await self._keeper.begun()

    async def hand_over(self) -> None:
        """Makes this conductor a standby."""
        await self._keeper.hand_over()

    async def leave(self) -> None:
        """Gives the lease away for good."""
        await self._keeper.hand_over(for_good=True)

    def end(self) -> None:
        """Lets `run` return."""
        self._ending.set()

    def _end_tenure(self) -> None:
        if self._tenure is not None:
            self._tenure.end()

    async def _lead(self, epoch: int, ready: Callable[[], None]) -> None:
        """Recovers as at a start, and works as the active conductor of this epoch."""
        await self._store.lead(epoch)
        try:
            self._opened.clock.go_on(await read_shared_time(self._store))
            await self._opened.tokens.reload()
            following = self._following
            state = await read_state(self._store, self._opened.clock.now(), following.limits, following.configured)
            self._tenure = self._make_tenure(state, self._keeper.may_send)
            await self._tenure.run(ready, PRESENT_SECONDS)
        finally:
            self._tenure = None
            await self._store.follow()
