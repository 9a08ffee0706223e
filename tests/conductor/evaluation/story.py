"""A run told by a test: the test plays the core and the agents; store, snapshots and evaluator are real."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conductor.core.folded.run import Run
from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.attempt_events import AttemptCreated, AttemptEnded, AttemptStarted
from conductor.core.model.events.event_parts import Confinement, ModelUse, StartSpec
from conductor.core.model.events.gate_events import GateOpened, GateResolved, StepWaitsAtGate
from conductor.core.model.events.run_events import (
    Event,
    RunCreated,
    RunReported,
    RunStarted,
    StepBecameReady,
    StepFailed,
    StepQueued,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    StepValidating,
)
from conductor.core.model.inputs import Blob, WorkFinished
from conductor.core.model.output import Channel, Output
from conductor.core.model.plan import RunPlan, SnapshotPlan
from conductor.core.model.states import AttemptState, Failure, FailureClass, GateCause, GateDecision
from conductor.core.model.work import (
    Answer,
    Checked,
    Folded,
    GuardDecided,
    OutputInvalid,
    PromptRendered,
    Reported,
    Shown,
    Work,
    WorkFailed,
    WorkKind,
)
from conductor.evaluation.evaluator import Evaluator
from conductor.evaluation.workers.pool import NewWorker
from conductor.flows.library.bundle import write_bundle
from conductor.flows.library.layers import folders
from conductor.flows.library.library import read_library, texts_for
from conductor.flows.plans import plan_steps
from conductor.snapshots.store import Pinned, SnapshotStore
from conductor.store.folding import fold_stored
from conductor.store.sqlite.store import SqliteStore
from conductor.v1.flow_service_pb2 import AgentWork, Flow, FoldWork, MergeFindings
from tests.kit.worker import WorkerInProcess

RUN = "01jd0000000000000000000000"
CONFINEMENT = Confinement(
    mechanism="bubblewrap 0.11.0",
    policy_digest="ab" * 32,
    uid=1000,
    snapshot_fingerprint_before="cd" * 32,
    snapshot_fingerprint_after="cd" * 32,
    checks=("user and group: 1000, never 0", "no network", "read-only workspace"),
)


def agent(step: str, prompt: str = "look", *, needs: tuple[str, ...] = (), **fields: Any) -> Flow.Step:
    """A step that asks an agent; fields of AgentWork may be given."""
    mine = {name: fields.pop(name) for name in tuple(fields) if name in AgentWork.DESCRIPTOR.fields_by_name}
    return Flow.Step(id=step, needs=needs, agent=AgentWork(agents=["survey"], prompt=prompt, **mine), **fields)


def fold(step: str, template: str, *needs: str) -> Flow.Step:
    """A step that renders a template."""
    return Flow.Step(id=step, needs=needs, fold=FoldWork(template=template))


def merge(step: str, *needs: str, **fields: Any) -> Flow.Step:
    """A step that merges findings; fields of MergeFindings may be given."""
    return Flow.Step(id=step, needs=needs, fold=FoldWork(merge=MergeFindings(**fields)))


def flow_of(*steps: Flow.Step, **fields: Any) -> Flow:
    """A flow of these steps."""
    return Flow(**{"name": "flows/story", "title": "A story", "revision": "ef" * 32, "steps": steps, **fields})


def claim(
    title: str = "Found", path: str = "a.py", lines: tuple[int, int] = (1, 1), quote: str = "one", **fields: Any
) -> dict[str, Any]:
    """A finding as an agent hands it in."""
    evidence = [{"path": path, "start_line": lines[0], "end_line": lines[1], "quote": quote}]
    return {
        "severity": "medium",
        "title": title,
        "claim": "It matters.",
        "category": "risks",
        "evidence": evidence,
        **fields,
    }


@dataclass
class Story:
    """One run, told step by step."""

    store: SqliteStore
    snapshots: SnapshotStore
    evaluator: Evaluator
    answers: asyncio.Queue[WorkFinished]
    blobs: dict[str, bytes] = field(default_factory=dict)
    run: str = RUN
    time: float = 1_000_000.0
    asked: str = ""  # the last prompt

    async def begin(
        self, flow: Flow, workspace: Path | SnapshotPlan | Pinned, *, project: Path | None = None, **inputs: Any
    ) -> None:
        """Creates the run."""
        changes = b""
        if isinstance(workspace, Pinned):
            workspace, changes = workspace.plan, workspace.changes
        snapshot = workspace if isinstance(workspace, SnapshotPlan) else await self.snapshots.pin(workspace)
        texts = texts_for(flow, read_library(folders(project, {}))[1])
        bundle = write_bundle(flow, texts)
        launch = await self.evaluator.launch(bundle, inputs)
        assert not launch.inputs.violations, launch.inputs.violations
        values = json.dumps(launch.inputs.values).encode()
        plan = RunPlan(
            run=self.run,
            flow=flow.name,
            flow_revision=flow.revision,
            bundle=self._blob(bundle),
            inputs=self._blob(values),
            workspace_path="/src/project" if isinstance(workspace, SnapshotPlan) else str(workspace),
            workspace_mode="working_tree",
            workspace_revision="",
            snapshot=snapshot,
            band=launch.inputs.band,
            steps=plan_steps(flow, launch.excluded),
            question=launch.inputs.question,
        )
        await self.tell(RunCreated(plan), RunStarted(), blobs=(bundle, values, *([changes] if changes else [])))

    async def ask(self, kind: WorkKind, step: str = "", attempt: str = "") -> Answer:
        """Asks the evaluator and keeps the blobs of its answer."""
        work = Work(self.run, kind, step, attempt)
        self.evaluator.ask(work)
        finished = await self.answers.get()
        assert finished.result.work == work
        self.blobs |= {blob.digest: blob.data for blob in finished.blobs}
        return finished.result.answer

    async def agent(
        self,
        step: str,
        *,
        says: str = "",
        result: dict[str, Any] | bytes | Callable[[str], dict[str, Any]] | None = None,
        state: AttemptState = AttemptState.SUCCEEDED,
        number: int = 1,
        host: str = "alpha",
        **fields: Any,
    ) -> Answer:
        """Runs an agent's step to its end, and returns the answer to the check of its result, which may depend on the prompt."""
        attempt = await self.start(step, number=number, host=host, **fields)
        if callable(result):
            result = result(self.asked)
        data = result if isinstance(result, bytes) else json.dumps(result).encode() if result is not None else b""
        ended = AttemptEnded(
            step,
            attempt,
            state,
            failure=None
            if state is AttemptState.SUCCEEDED
            else Failure("AGENT_EXIT_NONZERO", "It ended with status 3."),
            input_tokens=1200,
            output_tokens=340,
            result=self._blob(data) if data else "",
            confinement=CONFINEMENT,
            model_use=ModelUse("small|model", requests=3) if says else None,
        )
        if says:
            await self.append(Output(attempt, Channel.ANSWER, says))
        await self.tell(ended, blobs=(data,) if data else ())
        if state is not AttemptState.SUCCEEDED:
            failure = ended.failure or Failure("", "")
            await self.tell(StepFailed(step, failure))
            return WorkFailed(failure)
        await self.tell(StepValidating(step))
        return await self._settle(step, await self.ask(WorkKind.CHECK, step, attempt))

    async def start(self, step: str, *, number: int = 1, host: str = "alpha", **fields: Any) -> str:
        """Starts an attempt of an agent's step; returns its id. Fields of AttemptCreated may be given, and `agent`."""
        prompt = await self.prompt(step)
        attempt = f"{self.run}-{step}-{number}"
        spec = StartSpec(attempt, fields.pop("agent", "survey"), prompt, "c" * 40, (), 60.0, 60.0)
        created = AttemptCreated(step, attempt, number, host, "the only one", spec, **fields)
        await self.tell(created, AttemptStarted(step, attempt, CONFINEMENT))
        return attempt

    async def prompt(self, step: str) -> str:
        """Makes a step ready and builds its prompt; returns the prompt's digest."""
        await self.tell(StepBecameReady(step))
        answer = await self.ask(WorkKind.PROMPT, step)
        assert isinstance(answer, PromptRendered), answer
        self.asked = self.blobs[answer.prompt].decode()
        await self.tell(StepQueued(step, answer.prompt), blobs=(self.blobs[answer.prompt],))
        return answer.prompt

    async def guard(self, step: str) -> Answer:
        """Makes a step ready and decides its guard."""
        await self.tell(StepBecameReady(step))
        answer = await self.ask(WorkKind.SKIP_GUARD, step)
        if isinstance(answer, GuardDecided) and answer.skip:
            await self.tell(StepSkipped(step, answer.reason))
        return answer

    async def fold(self, step: str) -> Answer:
        """Runs a fold."""
        await self.tell(StepBecameReady(step), StepStarted(step))
        return await self._settle(step, await self.ask(WorkKind.FOLD, step))

    async def gate(self, step: str, by: str = "", comment: str = "") -> Answer:
        """Shows what a gate shows, and approves it."""
        await self.tell(StepBecameReady(step))
        answer = await self.ask(WorkKind.SHOW, step)
        assert isinstance(answer, Shown), answer
        approve = (GateDecision.APPROVE,)
        opened = GateOpened(step, 1, GateCause.FLOW, FailureClass.HUMAN_REQUIRED, step, "", answer.text, approve)
        decided = GateResolved(step, 1, GateDecision.APPROVE, answer.text, by, comment=comment)
        await self.tell(opened, StepWaitsAtGate(step), decided, StepSucceeded(step, answer.text))
        return answer

    async def report(self) -> tuple[str, dict[str, Any]]:
        """The report, in Markdown and as JSON."""
        answer = await self.ask(WorkKind.REPORT)
        assert isinstance(answer, Reported), answer
        return self.blobs[answer.markdown].decode(), json.loads(self.blobs[answer.json])

    async def stored_report(self) -> Run:
        """Makes the report, stores it, and returns the run."""
        answer = await self.ask(WorkKind.REPORT)
        assert isinstance(answer, Reported), answer
        blobs = self.blobs[answer.markdown], self.blobs[answer.json]
        await self.tell(RunReported(answer.markdown, answer.json, answer.workspace_changes), blobs=blobs)
        return fold_stored(self.run, await self.store.events(self.run))

    def findings(self, answer: Answer) -> list[dict[str, Any]]:
        """The findings that an answer names."""
        assert isinstance(answer, Checked | Folded), answer
        document: dict[str, Any] = json.loads(self.blobs[answer.findings])
        found: list[dict[str, Any]] = document["findings"]
        return found

    async def _settle(self, step: str, answer: Answer) -> Answer:
        match answer:
            case Checked(findings=findings, counts=counts):
                event: Event = StepSucceeded(step, findings=findings, counts=counts)
            case Folded(text=text, findings=findings, counts=counts):
                event = StepSucceeded(step, text, findings, counts)
            case WorkFailed(failure=failure) | OutputInvalid(failure=failure):
                event = StepFailed(step, failure)
            case _:
                raise AssertionError(answer)
        named = [digest for name in ("text", "findings") if (digest := getattr(event, name, ""))]
        await self.tell(event, blobs=tuple(self.blobs[digest] for digest in named))
        return answer

    async def tell(self, *events: Event, blobs: tuple[bytes, ...] = ()) -> None:
        """Stores events, two seconds after what was stored before."""
        stored = tuple(Blob(self._blob(data), data) for data in blobs)
        await self.append(*(Record(self.run, event) for event in events), blobs=stored)

    async def append(self, *items: Record | Output, blobs: tuple[Blob, ...] = ()) -> None:
        self.time += 2.0
        await self.store.append(Decision(to_store=items, blobs=blobs, durable=True), self.time)

    def _blob(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest


@asynccontextmanager
async def telling(folder: Path, new_worker: NewWorker = WorkerInProcess) -> AsyncIterator[Story]:
    """A story with a store, snapshots and workers of its own."""
    answers: asyncio.Queue[WorkFinished] = asyncio.Queue()
    snapshots = await SnapshotStore.open(folder / "snapshots")
    async with (
        await SqliteStore.open(folder / "data") as store,
        serving(store, snapshots, answers, new_worker) as evaluator,
    ):
        yield Story(store, snapshots, evaluator, answers)


@asynccontextmanager
async def serving(
    store: SqliteStore, snapshots: SnapshotStore, answers: asyncio.Queue[WorkFinished], new_worker: NewWorker
) -> AsyncIterator[Evaluator]:
    """An evaluator at work."""
    evaluator = Evaluator(store, snapshots, answers.put_nowait, new_worker=new_worker)
    task = asyncio.create_task(evaluator.run())
    try:
        yield evaluator
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
