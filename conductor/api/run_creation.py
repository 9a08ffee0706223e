"""CreateRun: checks the whole request, pins what the run will need, and asks the engine for the run.

Nothing of a run exists before the engine has stored it whole. So a caller that leaves early creates nothing, and a caller that
leaves later cancels nothing (B1); a retry with the same request id tells which it was.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from conductor.api.launching.plan_hash import hash_plan, require_plan
from conductor.api.launching.workspaces import Workspaces, workspace_violations
from conductor.api.messages.inputs import read_inputs
from conductor.api.messages.library import read_library
from conductor.api.request_ids import digest_of, read_request_id
from conductor.api.run_ids import new_run_id
from conductor.clock import Clock
from conductor.config import Settings
from conductor.core.decide.requests import count_asked_for, too_many_runs
from conductor.core.model.inputs import Blob, RequestRun
from conductor.core.model.plan import RunPlan, SnapshotPlan, StepPlan
from conductor.core.model.trace import Trace, begin_trace
from conductor.core.placing.unknown_agents import (
    find_unknown_agents,
    list_known_agents,
    list_usable_agents,
    seat_panels,
)
from conductor.engine.seat import Seat
from conductor.errors import (
    AgentUnknownError,
    InvalidRequestError,
    NoCapacityError,
    OutcomeUnknownError,
    QuestionRequiredError,
    RequestIdReusedError,
    Violation,
)
from conductor.evaluation.evaluator import Evaluator, Launch
from conductor.flows.checks.inputs import AUTO
from conductor.flows.language.counts import MAX_AGENTS
from conductor.flows.library.catalogue import Catalogue, LoadedFlow
from conductor.flows.plans import plan_steps, run_timeout
from conductor.snapshots.fetched.fetching import Fetching
from conductor.snapshots.pushed.store import PushedSnapshots
from conductor.snapshots.roots import WorkspaceRoots
from conductor.snapshots.store import SnapshotStore
from conductor.store.port import Store
from conductor.store.refusals import run_was_deleted
from conductor.v1 import run_service_pb2 as pb
from servicekit.calls.callers import current_caller
from servicekit.errors import closest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

MAX_LABELS = 32
MAX_TOLD = 5
MAX_HOST_LABELS, MAX_HOST_LABEL_CHARACTERS = 8, 63  # of a selector
MAX_LABEL_CHARACTERS = 128
MAX_PRIORITY = 100
MAX_TITLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Pinning:
    """The parts that pin a run."""

    catalogue: Catalogue
    evaluator: Evaluator
    snapshots: SnapshotStore
    roots: WorkspaceRoots
    pushed: PushedSnapshots
    fetching: Fetching


class RunCreation:
    """Creates runs."""

    def __init__(
        self, store: Store, engine: Seat, pinning: Pinning, clock: Clock, settings: Settings, *, is_traced: bool
    ) -> None:
        """Makes it. `is_traced`: a run whose caller brings no trace gets one of its own."""
        self._store = store
        self._engine = engine
        self._pinning = pinning
        self._clock = clock
        self._clocks = settings.clocks
        self._hosts = tuple(host.name for host in settings.hosts)
        self._workspaces = Workspaces(
            pinning.snapshots, pinning.pushed, pinning.fetching, pinning.roots, settings.limits.creations_at_once
        )
        self._is_traced = is_traced
        self._creating = 0

    async def create(self, request: pb.CreateRunRequest, trace: Trace | None = None) -> str:
        """Returns the id of the run that this request created, now or before. `trace` is where its caller is traced."""
        request_id = _check_shape(request)
        digest = digest_of(request)
        if known := await self.find_known(request_id, digest):
            return known
        with self.room():
            plan, blobs = await self._plan(request, self.require_known_agents)
            require_plan(request.plan_hash, plan)
            return await self.submit(RequestRun(plan, blobs, request_id, digest, trace=trace))

    async def plan(self, request: pb.CreateRunRequest) -> tuple[RunPlan, tuple[Blob, ...]]:
        """Returns the plan of the run that a request asks for, with its blobs, and its workspace pinned; asks for no run."""
        _check_shape(request)
        return await self._plan(request, lambda _: None)

    async def submit(self, asked: RequestRun) -> str:
        """Asks the engine for a run whose snapshot is pinned; returns the id of the run that the request created, now or before."""
        if asked.trace is None and self._is_traced:
            asked = replace(asked, trace=begin_trace(asked.plan.run))
        async with self._kept(asked.plan):
            run = (await self._engine.submit(asked)).run
        if run != asked.plan.run:
            await self._pinning.snapshots.release(asked.plan.run)
        return run

    @contextmanager
    def room(self) -> "Iterator[None]":
        """Takes room for one more unfinished run, before any work is done for it; raises what the engine would say afterwards."""
        self._engine.require_open()
        state = self._engine.state
        if count_asked_for(state.ongoing.values()) + self._creating >= state.limits.unfinished_runs:
            raise NoCapacityError(too_many_runs(state.limits.unfinished_runs))
        self._creating += 1
        try:
            yield
        finally:
            self._creating -= 1

    async def find_known(self, request_id: str, digest: str) -> str:
        """Returns the id of the run that a request created before; empty where it is new."""
        known = (await self._store.requests((request_id,))).get(request_id) if request_id else None
        if known is None:
            return ""
        if known.digest != digest:
            raise RequestIdReusedError
        if known.deleted:
            raise run_was_deleted(known)
        return known.run

    async def _plan(
        self, request: pb.CreateRunRequest, check: "Callable[[Sequence[StepPlan]], None]"
    ) -> tuple[RunPlan, tuple[Blob, ...]]:
        workspace = await self._workspaces.locate(request.workspace)
        loaded = _selected(await self._load(request), request.selector)
        given, pinned = read_inputs(request), None
        bundle = loaded.bundle(json.dumps(given, ensure_ascii=False))
        if given.get("band") == AUTO:  # the snapshot decides it
            pinned = await self._workspaces.pin(workspace)
        launch = await self._judge(bundle, given, pinned.plan if pinned else None)
        inputs = launch.inputs
        steps = self._seated(plan_steps(loaded.filled, launch.excluded, self._clocks, inputs.band))
        if len(steps) > (most := self._engine.state.limits.steps_per_run):
            raise InvalidRequestError(Violation("flow", f"has {len(steps)} steps; a run has at most {most}"))
        called = (step for flow in loaded.calls.values() for step in plan_steps(flow, {}, self._clocks))
        check((*steps, *self._seated(called)))
        pinned = pinned or await self._workspaces.pin(workspace)
        values = json.dumps(inputs.values, ensure_ascii=False, sort_keys=True).encode()
        blobs = tuple(_blob(data) for data in (bundle, values, pinned.changes) if data)
        plan = RunPlan(
            run=new_run_id(self._clock.now()),
            flow=loaded.flow.name,
            flow_revision=loaded.flow.revision,
            bundle=blobs[0].digest,
            inputs=blobs[1].digest,
            workspace_path=workspace.path,
            workspace_mode=workspace.mode,
            workspace_revision=workspace.revision,
            workspace_base_revision=request.workspace.base_revision,
            workspace_snapshot=workspace.snapshot,
            workspace_url=str(workspace.url or ""),
            snapshot=pinned.plan,
            band=inputs.band,
            band_reason=launch.band_reason,
            steps=steps,
            timeout_seconds=run_timeout(loaded.flow, self._clocks),
            max_parallel=loaded.flow.max_parallel,
            question=inputs.question,
            labels=tuple(sorted(request.labels.items())),
            priority=request.priority,
            title=request.title.strip(),
            created_by=current_caller().identity,
        )
        return replace(plan, plan_hash=hash_plan(plan)), blobs

    def _seated(self, steps: Iterable[StepPlan]) -> tuple[StepPlan, ...]:
        """Returns the steps, with panels of the agents that hosts can run now."""
        hosts = self._engine.state.hosts
        usable, is_complete = list_usable_agents(hosts, self._hosts), list_known_agents(hosts, self._hosts) is not None
        return seat_panels(steps, usable, is_complete=is_complete) if usable or is_complete else tuple(steps)

    def require_known_agents(self, steps: "Sequence[StepPlan]") -> None:
        """Raises AgentUnknownError for a step whose agent no host knows, once every host is connected."""
        known = list_known_agents(self._engine.state.hosts, self._hosts)
        unknown = list(find_unknown_agents(steps, known)) if known is not None else []
        if known is None or not unknown:
            return
        raise agent_unknown(unknown, known, list_usable_agents(self._engine.state.hosts, self._hosts))

    async def _load(self, request: pb.CreateRunRequest) -> LoadedFlow:
        if request.WhichOneof("source") == "inline":
            return await self._pinning.catalogue.load_inline(request.inline, read_library(request.library))
        return await self._pinning.catalogue.get(request.flow)

    async def _judge(self, bundle: bytes, given: Mapping[str, Any], snapshot: SnapshotPlan | None) -> Launch:
        signals = asdict(await self._pinning.snapshots.signals(snapshot)) if snapshot else {}
        launch = await self._pinning.evaluator.launch(bundle, given, signals)
        violations = tuple(Violation(field, text) for field, text in launch.inputs.violations)
        if launch.inputs.question_missing:
            raise QuestionRequiredError(*violations)
        if violations:
            raise InvalidRequestError(*violations)
        return launch

    @asynccontextmanager
    async def _kept(self, plan: RunPlan) -> "AsyncIterator[None]":
        """Keeps the snapshot for the run from before it exists, and releases it where there will be no such run.

        After a cancellation or a kill it is not known here whether there will be: the next start of the conductor looks.
        """
        await self._pinning.snapshots.keep(plan.run, plan.snapshot.commit, plan.snapshot.base_commit)
        try:
            yield
        except OutcomeUnknownError:
            raise  # the run may still be stored; if not, the next start of the conductor releases the snapshot
        except Exception:
            await self._pinning.snapshots.release(plan.run)
            raise


def agent_unknown(
    unknown: "Sequence[tuple[str, tuple[str, ...]]]", known: "Sequence[str]", usable: "Sequence[str]"
) -> AgentUnknownError:
    """Makes the error for steps whose agents no host has: it offers those that can run, and names the others as such."""
    told = [
        f"step {step} asks {' or '.join(agents)}" + (f": did you mean '{close}'?" if close else "")
        for step, agents in unknown[:MAX_TOLD]
        for close in [closest(agents[0], usable) or closest(agents[0], known)]
    ]
    if (more := len(unknown) - MAX_TOLD) > 0:
        told.append("and 1 more step" if more == 1 else f"and {more} more steps")
    there_are = " There are" if told[-1].endswith("?") else "; there are"
    unusable = ", ".join(name for name in known if name not in usable)
    hint = f"no host can run these now: {unusable}; conductor hosts says why" if unusable else ""
    return AgentUnknownError(
        f"no host has the agent of {len(unknown)} of the flow's steps: {'; '.join(told)}{there_are} {', '.join(usable) or 'none'}",
        hint=hint,
        metadata={"known": ", ".join(usable)},
    )


def _check_shape(request: pb.CreateRunRequest) -> str:
    """Returns the request's id."""
    violations = [*_source_violations(request), *workspace_violations(request.workspace), *_label_violations(request)]
    if len(request.title) > MAX_TITLE_CHARACTERS:
        violations.append(Violation("title", f"has more than {MAX_TITLE_CHARACTERS} characters"))
    if not -MAX_PRIORITY <= request.priority <= MAX_PRIORITY:
        violations.append(Violation("priority", f"is {request.priority}; it may be -{MAX_PRIORITY} to {MAX_PRIORITY}"))
    return read_request_id(request.request_id, *violations)


def _check_host_labels(loaded: LoadedFlow, labels: Mapping[str, str]) -> None:
    """Raises InvalidRequestError for labels of hosts that no step can ask for."""
    if len(labels) > MAX_HOST_LABELS or any(
        len(text) > MAX_HOST_LABEL_CHARACTERS for pair in labels.items() for text in pair
    ):
        text = (
            f"has at most {MAX_HOST_LABELS} labels; name and value have at most {MAX_HOST_LABEL_CHARACTERS} characters"
        )
        raise InvalidRequestError(Violation("selector.labels", text))
    if (other := loaded.find_other_label(labels)) is not None:
        step, name = other
        text = f"step {step} asks for another value of the label {name}: no host has both"
        raise InvalidRequestError(Violation("selector.labels", text))


def _selected(loaded: LoadedFlow, selector: pb.Selector) -> LoadedFlow:
    """Returns the flow with the agents and hosts that a caller chose. Raises InvalidRequestError for what no step can have."""
    if len(selector.agents) > MAX_AGENTS:
        raise InvalidRequestError(Violation("selector.agents", f"has at most {MAX_AGENTS} entries"))
    known = loaded.list_agents()
    if selector.agents and not known & set(selector.agents):
        chosen, there = ", ".join(selector.agents), ", ".join(sorted(known)) or "no agent"
        raise InvalidRequestError(Violation("selector.agents", f"no step of this flow asks {chosen}; they ask {there}"))
    _check_host_labels(loaded, selector.labels)
    return loaded.narrowed(selector.agents, selector.labels)


def _source_violations(request: pb.CreateRunRequest) -> list[Violation]:
    match request.WhichOneof("source"):
        case None:
            return [Violation("flow", "is missing; give the name of a flow, such as flows/survey, or a flow inline")]
        case "flow" if not request.flow:
            return [Violation("flow", "is empty; give the name of a flow, such as flows/survey")]
        case "flow" if request.HasField("library"):
            return [Violation("library", "goes with an inline flow only: a flow by name has its own")]
        case _:
            return []


def _label_violations(request: pb.CreateRunRequest) -> list[Violation]:
    violations = []
    if len(request.labels) > MAX_LABELS:
        violations.append(Violation("labels", f"are {len(request.labels)}; at most {MAX_LABELS} are kept"))
    for key, value in sorted(request.labels.items()):
        if not key or len(key) > MAX_LABEL_CHARACTERS or len(value) > MAX_LABEL_CHARACTERS:
            text = f"keys have 1 to {MAX_LABEL_CHARACTERS} characters, values at most as many"
            violations.append(Violation(f"labels.{key[:MAX_LABEL_CHARACTERS]}", text))
        elif "\0" in key + value:
            violations.append(
                Violation("labels", f"{key!r}={value!r} holds NUL, where databases cut a text; leave it out")
            )
    return violations


def _blob(data: bytes) -> Blob:
    return Blob(hashlib.sha256(data).hexdigest(), data)
