"""Makes messages of a run's stored items, one each. It folds the run as it goes.

A client that resumes first gets the run as it was at its position, then the items after it: so it gets every item once. It reads
the store only for what an item names (a finding's document).
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self
from weakref import WeakValueDictionary

from google.protobuf.struct_pb2 import Struct

from conductor.api.activities import read_activities
from conductor.api.messages.findings import finding_message
from conductor.api.messages.gates import gate_message
from conductor.api.messages.json_values import struct
from conductor.api.messages.names import step_name
from conductor.api.messages.output import output_message
from conductor.api.messages.runs import disconnections, run_message, step_message, sub_run_progress, waits
from conductor.api.messages.tokens import seal
from conductor.core.folded.run import Run
from conductor.core.model.events.gate_events import GateOpened, GateResolved, RunPaused, RunResumed
from conductor.core.model.events.run_events import (
    Event,
    FindingChecked,
    ReportRefused,
    RunCancelRequested,
    RunCreated,
    RunReported,
    RunSettled,
    RunStarted,
    RunTimedOut,
    StepsAdded,
)
from conductor.core.model.output import Channel
from conductor.core.model.states import SETTLED_STEP, StepState
from conductor.core.placing.standing import Present
from conductor.store.folding import fold_stored, reading_damage
from conductor.store.port import Store
from conductor.store.records import StoredEvent, StoredOutput
from conductor.v1 import gate_service_pb2
from conductor.v1 import run_service_pb2 as pb
from servicekit.times import timestamp

_BUSY = frozenset({StepState.RUNNING, StepState.VALIDATING})
_OF_THE_RUN = (
    RunCreated,
    RunStarted,
    RunPaused,
    RunResumed,
    RunCancelRequested,
    RunTimedOut,
    RunReported,
    RunSettled,
)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Standing:
    """Holds a run as it is at a position, with its inputs."""

    run: Run
    inputs: Struct


class SharedStandings:
    """Shares folded runs among the watchers that wait at the same position, while any of them waits there.

    Each of them has folded the same events to the same run. Otherwise a run of 200 steps would be in memory once for each watcher.
    """

    def __init__(self) -> None:
        self._standings: WeakValueDictionary[tuple[str, int], Standing] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._standings)

    def share(self, position: int, standing: Standing) -> Standing:
        """Returns the one that is shared at this position already, or this one."""
        return self._standings.setdefault((standing.run.id, position), standing)


class Narrator:
    """Holds one run, folded up to a position, and makes messages of what follows."""

    def __init__(self, store: Store, standing: Standing, position: int, time: float) -> None:
        self._store = store
        self._standing = standing
        self.position = position
        self._time = time
        self._findings: tuple[str, list[dict[str, Any]]] = ("", [])  # of the step that was shown last

    @classmethod
    async def at(cls, store: Store, run: str, position: int) -> Self:
        """Folds a run's events up to a position, which is at least 1."""
        events = await store.events(run, upto=position)
        folded = fold_stored(run, events)
        inputs = await store.blob(run, folded.plan.inputs)
        with reading_damage(run, f"blobs, {folded.plan.inputs}"):
            return cls(store, Standing(folded, struct(inputs)), position, events[-1].time)

    @property
    def _run(self) -> Run:
        return self._standing.run

    @property
    def is_settled(self) -> bool:
        """Says that nothing follows."""
        return self._run.is_settled

    def share(self, shared: SharedStandings) -> None:
        """Shares the folded run with other watchers at this position."""
        self._standing = shared.share(self.position, self._standing)

    def show_run(self) -> pb.WatchRunResponse:
        """Shows the run, at its position."""
        return self._response(self._time, run=run_message(self._run, self.position, self._standing.inputs))

    def show_progress(self, present: Present, now: float) -> pb.WatchRunResponse:
        """Shows the present progress, at the run's position."""
        states = [step.state for step in self._run.steps.values()]
        progress = pb.Progress(
            settled_steps=sum(state in SETTLED_STEP for state in states),
            running_steps=sum(state in _BUSY for state in states),
            total_steps=len(states),
            disconnections=disconnections(self._run.id, present.absences),
            waits=waits(self._run.id, present),
            sub_runs=sub_run_progress(self._run.id, present),
        )
        return self._response(now, progress=progress)

    async def show(self, stored: StoredEvent | StoredOutput) -> pb.WatchRunResponse:
        """Moves on by one item, and shows it."""
        self.position = stored.position
        if isinstance(stored, StoredOutput):
            is_activity = stored.output.channel is Channel.ACTIVITY
            activities = await read_activities(self._store, stored) if is_activity else ()
            return self._response(stored.time, output=output_message(stored, activities))
        self._time = stored.time
        self._standing = Standing(fold_stored(self._run.id, [stored], self._run), self._standing.inputs)
        if isinstance(stored.event, FindingChecked):
            return self._response(stored.time, finding=await self._finding(stored.event))
        self._findings = ("", [])
        with reading_damage(self._run.id, f"journal, position {stored.position}"):
            return self._show_event(stored.event, stored.time)

    def _show_event(self, event: Event, time: float) -> pb.WatchRunResponse:
        if isinstance(event, _OF_THE_RUN):
            return self._response(time, run=run_message(self._run, self.position, self._standing.inputs))
        if isinstance(event, ReportRefused):
            text = f"{event.attempt} said more after its end, which has no effect: {event.what}"
            return self._response(time, log=pb.Log(text=text, step=step_name(self._run.id, event.step)))
        # Of an added item the first step: a run of a thousand items would be told a thousand times. The others come as they change.
        step = self._run.steps[event.steps[0].id if isinstance(event, StepsAdded) else event.step]
        if isinstance(event, GateOpened | GateResolved) and step.gate is not None:
            return self._response(time, gate=gate_message(self._run.id, step.gate))
        return self._response(time, step=step_message(self._run.id, step))

    async def _finding(self, event: FindingChecked) -> pb.Finding:
        document = b"" if self._findings[0] == event.findings else await self._store.blob(self._run.id, event.findings)
        with reading_damage(self._run.id, f"journal, position {self.position} (FindingChecked)"):
            if document:
                self._findings = (event.findings, (await asyncio.to_thread(json.loads, document))["findings"])
            return finding_message(self._run.id, {"step": event.step, **self._findings[1][event.number]})

    def _response(
        self,
        time: float,
        *,
        run: pb.Run | None = None,
        step: pb.Step | None = None,
        output: pb.Output | None = None,
        gate: gate_service_pb2.Gate | None = None,
        finding: pb.Finding | None = None,
        log: pb.Log | None = None,
        progress: pb.Progress | None = None,
    ) -> pb.WatchRunResponse:
        return pb.WatchRunResponse(
            resume_token=seal(self._run.id, self.position),
            sequence=self.position,
            time=timestamp(time),
            run=run,
            step=step,
            output=output,
            gate=gate,
            finding=finding,
            log=log,
            progress=progress,
        )
