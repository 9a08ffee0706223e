"""Asks worker processes: questions of the core, and whether requests and flows are good (rule 5).

`ask` never waits: its answer comes as an input, exactly once. Folds have a lane, so that they do not delay guards, prompts and
checks, which agents wait for. Reports have another lane, because a fold may hang and every run waits for its report. Inside a lane
runs take turns, one job of each at a time. So a run whose expression hangs holds one worker for one time limit; then its work goes
to the lane of the folds.

This module decides nothing about runs, and nothing is evaluated in this process.
"""

import asyncio
import contextlib
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from conductor.config import Clocks
from conductor.core.folded.run import Run
from conductor.core.model.inputs import Blob, WorkFinished
from conductor.core.model.work import Work, WorkKind
from conductor.errors import (
    FlowProblem,
    InvalidRequestError,
    NoCapacityError,
    PreconditionError,
    ServiceError,
    StatusError,
    Violation,
)
from conductor.evaluation.gathering import Gathering, TooMuchError
from conductor.evaluation.questions import EVALUATION_LIMIT, QUESTIONS, Pace, ask_worker, broken, over_limit
from conductor.evaluation.workers import limits
from conductor.evaluation.workers.fair_turns import FairTurns
from conductor.evaluation.workers.frames import Frame
from conductor.evaluation.workers.pool import Lane, LimitHitError, NewWorker, Worker, WorkerBrokenError
from conductor.flows.checks.inputs import Inputs
from conductor.flows.checks.judgement import Judgement, Library
from conductor.snapshots.store import SnapshotStore
from conductor.store.port import Store
from conductor.v1 import flow_service_pb2

log = structlog.get_logger(__name__)

MAX_SLOW_RUNS = 1000  # and requests
_REQUESTS = "(requests)"


@dataclass(frozen=True, slots=True)
class Launch:
    """The inputs of a new run, with their violations, why steps are excluded, and why AUTO chose its band."""

    inputs: Inputs
    excluded: Mapping[str, str]
    band_reason: str = ""


class Evaluator:
    """Evaluates texts of authors."""

    def __init__(
        self,
        store: Store,
        snapshots: SnapshotStore,
        deliver: Callable[[WorkFinished], None],
        current: Callable[[str], Run | None] = lambda _: None,
        new_worker: NewWorker = Worker,
        *,
        clocks: Clocks | None = None,
    ) -> None:
        self._gathering = Gathering(store, snapshots, current, clocks)
        self._deliver = deliver
        self._lanes = {
            Pace.QUICK: Lane(Pace.QUICK, limits.QUICK_WORKERS, new_worker=new_worker),
            Pace.SLOW: Lane(Pace.SLOW, limits.FOLD_WORKERS, limits.SLOW_JOBS_AT_ONCE, new_worker),
            Pace.REPORT: Lane(Pace.REPORT, limits.REPORT_WORKERS, limits.SLOW_JOBS_AT_ONCE, new_worker),
        }
        self._asked: set[Work] = set()
        self._slow_runs: OrderedDict[str, None] = OrderedDict()
        self._slow_requests: OrderedDict[str, None] = OrderedDict()
        self._turns = {pace: FairTurns() for pace in Pace}

    async def run(self) -> None:
        """Serves until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes.values():
                group.create_task(lane.run())

    def ask(self, work: Work) -> None:
        """Takes a question, whose answer is delivered later. A waiting question is not asked twice."""
        if work in self._asked:
            return
        if len(self._asked) >= limits.MAX_WAITING:
            refused = over_limit(work, f"{limits.MAX_WAITING} questions are waiting, which is the limit")
            asyncio.get_running_loop().call_soon(self._deliver, refused)
            return
        self._asked.add(work)

        async def job(worker: Worker) -> None:
            await self._do(work, worker)

        self._lane(work).put(work.run, job)

    def _lane(self, work: Work) -> Lane:
        pace = Pace.SLOW if work.run in self._slow_runs else QUESTIONS[work.kind].pace
        return self._lanes[pace]

    async def launch(
        self, bundle: bytes, inputs: Mapping[str, Any], signals: Mapping[str, Any] | None = None
    ) -> Launch:
        """Judges the inputs of a run and decides its band and which steps are excluded. Violations are returned, not raised.

        `signals` are needed where the inputs leave the band open.
        """
        asked = {"task": "launch", "inputs": dict(inputs), "signals": dict(signals or {})}
        try:
            answer = await self._call(Frame(asked, (bundle,)))
        except LimitHitError as error:
            raise InvalidRequestError(Violation("inputs", f"cannot be judged against this flow: {error}")) from error
        header = answer.header
        judged = Inputs(
            values=json.loads(answer.attachments[0]),
            band=header["band"],
            question=header["question"],
            violations=tuple((name, text) for name, text in header["violations"]),
            question_missing=header["question_missing"],
        )
        return Launch(judged, header["excluded"], header["band_reason"])

    async def render(self, run: Run, form: str, options: Mapping[str, Any]) -> bytes:
        """Returns another form of a run's stored report: `html`, `sarif` or `junit`."""
        frame = await self._gathering.for_rendering(run, form, options)
        cited = replace(frame, header={**frame.header, "task": "cited"})
        try:
            named = await self._render(run.id, cited)
            frame = await self._gathering.with_files(run, frame, named.header["paths"])
            answer = await self._render(run.id, frame)
        except LimitHitError as error:
            raise _too_large(run.id, form, str(error)) from error
        except WorkerBrokenError as error:
            raise ServiceError(str(error)) from error
        if "failed" in answer.header:
            raise _too_large(run.id, form, answer.header["failed"]["message"])
        return answer.attachments[0]

    async def _render(self, run: str, frame: Frame) -> Frame:
        return await self._call_in_turn(Pace.REPORT, run, frame, limits.CHECK_SECONDS)

    async def preview_prompt(self, run: Run, blobs: Sequence[Blob], step: str) -> tuple[bytes, str]:
        """Builds the prompt of a step of a run that is in no store; returns it, or why it cannot be built."""
        for blob in blobs:
            self._gathering.remember(blob.digest, blob.data)
        try:
            answer = await self._call(await self._gathering.for_step(run, WorkKind.PROMPT, step))
        except (LimitHitError, TooMuchError) as error:
            return b"", f"the prompt cannot be built: {error}"
        failed = answer.header.get("failed")
        return (b"", failed["message"]) if failed else (answer.attachments[0], "")

    async def judge_edit(self, run: Run, step: str, text: bytes) -> tuple[str, ...]:
        """Returns what is wrong with a text that a person gives in the place of a step's output, which has a schema."""
        try:
            answer = await self._call(await self._gathering.for_edit(run, step, text))
        except LimitHitError as error:
            return (f"cannot be judged: {error}",)
        return tuple(answer.header["errors"])

    async def judge_text(self, data: bytes, path: str, library: Library) -> Judgement:
        """Validates the text of a flow file."""
        return await self._judge("judge_text", data, path, library)

    async def judge_message(self, flow: flow_service_pb2.Flow, path: str, library: Library) -> Judgement:
        """Validates a flow that came as a message."""
        return await self._judge("judge_message", flow.SerializeToString(), path, library)

    async def _judge(self, task: str, data: bytes, path: str, library: Library) -> Judgement:
        names = {
            "personas": sorted(library.personas),
            "contracts": sorted(library.contracts),
            "unusable": sorted(library.unusable),
            "tables": sorted(library.tables),
        }
        try:
            answer = await self._call(Frame({"task": task, "path": path, **names}, (data,)))
        except LimitHitError as error:
            return Judgement(None, (FlowProblem(path, 0, "", f"cannot be validated: {error}"),))
        problems = tuple(FlowProblem(*problem) for problem in answer.header["problems"])
        draft = flow_service_pb2.Flow.FromString(answer.attachments[0]) if answer.attachments[0] else None
        return Judgement(None if problems else draft, problems, draft, answer.header["lines"])

    async def _call(self, frame: Frame) -> Frame:
        """Asks for a request in two stages: one that takes long leaves the quick lane, and takes turns with its like."""
        name = hashlib.sha256(frame.attachments[0]).hexdigest()
        try:
            if name not in self._slow_requests:
                with contextlib.suppress(LimitHitError):
                    return await self._call_in_turn(Pace.QUICK, name, frame, limits.FIRST_SECONDS)
                _remember(self._slow_requests, name)
            return await self._call_in_turn(Pace.SLOW, name, frame, limits.QUICK_SECONDS)
        except WorkerBrokenError as error:
            raise ServiceError(str(error)) from error

    async def _call_in_turn(self, pace: Pace, name: str, frame: Frame, seconds: float) -> Frame:
        turns = self._turns[pace]
        if turns.waiting >= limits.MAX_WAITING_REQUESTS:
            raise NoCapacityError("too many requests are waiting for their evaluation; try again later")
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(turns.hold(name, limits.MAX_WAIT_SECONDS))
            except TimeoutError as error:
                text = f"other requests were evaluated for {limits.MAX_WAIT_SECONDS:g} s; try again later"
                raise NoCapacityError(text) from error
            return await self._lanes[pace].call(_REQUESTS, frame, seconds)

    async def _do(self, work: Work, worker: Worker) -> None:
        """Answers a question in every case, because a run waits for the answer."""
        try:
            answered = await ask_worker(self._gathering, worker, work)
        except LimitHitError as error:
            _remember(self._slow_runs, work.run)
            answered = over_limit(work, str(error))
        except TooMuchError as error:
            answered = over_limit(work, str(error))
        except WorkerBrokenError as error:
            answered = broken(work, str(error))
        except StatusError as error:
            log.error("evaluation_failed", run=work.run, step=work.step, kind=work.kind, error=str(error))  # noqa: TRY400
            answered = broken(work, str(error))
        except Exception as error:  # the top of a job: without an answer its run would wait forever
            log.exception("evaluation_failed", run=work.run, step=work.step, kind=work.kind)
            answered = broken(work, type(error).__name__)
        self._asked.discard(work)
        for blob in answered.blobs:
            self._gathering.remember(blob.digest, blob.data)
        self._deliver(answered)


def _too_large(run: str, form: str, why: str) -> PreconditionError:
    hint = f"the report in Markdown needs no rendering:  conductor report {run} --format md"
    message = f"the report of run {run} cannot be rendered as {form}: {why}"
    return PreconditionError(EVALUATION_LIMIT, message, subject=f"runs/{run}/report", hint=hint)


def _remember(names: OrderedDict[str, None], name: str) -> None:
    names[name] = None
    while len(names) > MAX_SLOW_RUNS:
        names.popitem(last=False)
