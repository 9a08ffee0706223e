"""The seat of the engine: the engine of the active conductor sits there, and on a standby it is empty.

The parts that serve callers outlive a change of the role, and ask the seat instead of an engine. On a standby it refuses requests,
and shows the state that the standby follows in the store.
"""

from collections.abc import Callable

from conductor.core.folded.run import Run
from conductor.core.model.commands import Accepted
from conductor.core.model.conductor_state import ConductorState
from conductor.core.model.inputs import Request
from conductor.engine.inbox import Note
from conductor.engine.loop import Engine
from conductor.errors import StatusError


class Seat:
    """Leads to the engine that sits here. `refuse` makes the error of requests while it is empty, `followed` the state."""

    def __init__(self, refuse: Callable[[], StatusError], followed: Callable[[], ConductorState]) -> None:
        self.engine: Engine | None = None
        self._refuse = refuse
        self._followed = followed

    @property
    def state(self) -> ConductorState:
        """The state as it was stored last. Not to be changed."""
        return self._followed() if self.engine is None else self.engine.state

    async def submit(self, request: Request) -> Accepted:
        """Asks the engine, as `Engine.submit`."""
        return await self._taken().submit(request)

    def require_open(self) -> None:
        """Raises what a request would be refused with now."""
        self._taken().require_open()

    def note(self, note: Note) -> None:
        """Hands over what a worker reports; on a standby no call waits for it."""
        if self.engine is not None:
            self.engine.note(note)

    def run(self, run: str) -> Run | None:
        """Returns a run that is at work."""
        return self.state.run(run)

    def count_running(self, host: str) -> int:
        """Counts the attempts that are live on a host."""
        return sum(track.host == host for one in self.state.ongoing.values() for track in one.tracks.values())

    def _taken(self) -> Engine:
        if self.engine is None:
            raise self._refuse()
        return self.engine
