"""Reads gates and shows them with their texts: those of one run from the store, those that wait from the runs at work."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from conductor.api.messages.gates import gate_message, pending_gates, read_gate_states
from conductor.api.messages.names import gate_name, read_run
from conductor.api.messages.tokens import read_page_size, seal, unseal
from conductor.core.folded.gate import Gate
from conductor.core.folded.run import Run
from conductor.core.gates.decisions import find_gate
from conductor.core.model.conductor_state import Ongoing
from conductor.errors import InvalidRequestError, NotFoundError, Violation
from conductor.store.folding import fold_stored
from conductor.store.port import Store
from conductor.v1 import gate_service_pb2 as pb

# Of one page: a gate shows 256 KiB at most, and an edit brings 1 MiB at most.
MAX_PAGE_BYTES = 2 * 1024 * 1024
ALL_RUNS = frozenset({"", "runs/-"})


class _Listed(NamedTuple):
    """A gate at its place in the list."""

    time: float
    name: str
    run: str
    gate: Gate


class GateReading:
    """Everything that the API shows of gates. `unfinished` returns the runs at work by their ids, as they are stored."""

    def __init__(self, store: Store, unfinished: Callable[[], Mapping[str, Ongoing]]) -> None:
        self._store = store
        self._unfinished = unfinished

    async def gates(self, request: pb.ListGatesRequest) -> pb.ListGatesResponse:
        """Lists gates, oldest first."""
        if unknown := [number for number in request.states if number not in pb.Gate.State.values()]:
            raise InvalidRequestError(Violation("states", f"{unknown[0]} is no value of the enumeration"))
        size = read_page_size(request.page_size)
        states = read_gate_states(list(request.states))
        context = f"gates {request.parent} {sorted(states)}"
        after = _read_place(request.page_token, context)
        listed = [one for one in await self._listed(request.parent) if not request.states or one.gate.state in states]
        following = [one for one in sorted(listed, key=lambda one: one[:2]) if after is None or one[:2] > after]
        shown: list[pb.Gate] = []
        used = 0
        for one in following[:size]:
            if used >= MAX_PAGE_BYTES:
                break
            shown.append(await self._whole(one.run, one.gate))
            used += shown[-1].ByteSize()
        last = following[len(shown) - 1] if shown and len(shown) < len(following) else None
        return pb.ListGatesResponse(gates=shown, next_page_token=seal(context, last.time, last.name) if last else "")

    async def gate(self, run: str, step: str, number: int) -> pb.Gate:
        """Returns a gate with its texts."""
        gate = find_gate(await self.run(run), step, number)
        if gate is None:
            raise NotFoundError(
                "gate", gate_name(run, f"{step}-{number}"), hint=f"the run's gates:  conductor gates {run}"
            )
        return await self._whole(run, gate)

    async def run(self, run: str) -> Run:
        """Returns a run as it is stored; one at work without folding all its events for each gate."""
        at_work = self._unfinished().get(run)
        return at_work.run if at_work is not None else fold_stored(run, await self._store.events(run))

    async def _listed(self, parent: str) -> list[_Listed]:
        if parent in ALL_RUNS:
            return [_place(one.run, gate) for one in self._unfinished().values() for gate in pending_gates(one.run)]
        run = await self.run(read_run(parent, "parent"))
        return [_place(run, gate) for step in run.steps.values() for gate in step.gates]

    async def _whole(self, run: str, gate: Gate) -> pb.Gate:
        message = gate_message(run, gate)
        message.show = (await self._store.blob(run, gate.shown)).decode("utf-8", "replace")
        if gate.text:
            message.text = (await self._store.blob(run, gate.text)).decode("utf-8", "replace")
        return message


def _place(run: Run, gate: Gate) -> _Listed:
    return _Listed(gate.open_time, gate_name(run.id, gate.id), run.id, gate)


def _read_place(token: str, context: str) -> tuple[float, str] | None:
    if not token:
        return None
    match unseal(token, context, "page_token"):
        case [float() | int() as time, str(name)]:
            return float(time), name
        case _:
            raise InvalidRequestError(Violation("page_token", "is not a token of this list"))
