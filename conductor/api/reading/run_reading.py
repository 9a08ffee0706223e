"""Reads runs from the store and shows them: one run, one step, lists, findings, the report. Changes nothing.

Large JSON is made into messages beside the event loop: a report of a megabyte would delay every stream.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

from google.protobuf.struct_pb2 import Struct

from conductor.api.messages.findings import finding_message, max_rank, status_word
from conductor.api.messages.json_values import struct, value
from conductor.api.messages.names import read_run, read_step, run_name, step_name
from conductor.api.messages.runs import read_run_states, row_message, run_message, step_message
from conductor.api.messages.tokens import read_page_size, seal, unseal
from conductor.api.run_creation import MAX_LABELS
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.placing.standing import Present
from conductor.errors import DatabaseDamagedError, InvalidRequestError, NotFoundError, PreconditionError, Violation
from conductor.store.answers import read_answer
from conductor.store.folding import fold_stored, reading_damage
from conductor.store.port import Store
from conductor.store.records import FindingKey, FindingRow, RunFilter, RunKey
from conductor.v1 import run_service_pb2 as pb
from servicekit.times import seconds

# Of a text in GetStep: with the largest prompt and result, the answer stays below the 4 MiB that clients take.
MAX_TEXT_BYTES = 1024 * 1024
# Of a page of findings: a page of long findings holds fewer than were asked for.
MAX_PAGE_CHARACTERS = 1024 * 1024
MISFIT = "journal: its events do not fit each other"


class RunReading:
    """Everything that the API shows of runs, except streams."""

    def __init__(self, store: Store, present: Callable[[str], Present]) -> None:
        self._store = store
        self._present = present

    async def run(self, run: str) -> pb.Run:
        """Returns a run with its steps; of one whose events are damaged, its row of the list."""
        try:
            return await self._whole(run)
        except DatabaseDamagedError as error:
            message = row_message(await self._store.run(run))
            message.damage = str(error)
            return message

    async def _whole(self, run: str) -> pb.Run:
        folded, position = await self.folded(run)
        inputs = await self._store.blob(run, folded.plan.inputs)
        with reading_damage(run, MISFIT):
            message = run_message(folded, position, struct(inputs), self._present(run))
        if folded.outputs:
            message.outputs.CopyFrom(await self._struct(run, folded.outputs))
        return message

    async def step(self, name: str) -> pb.Step:
        """Returns a step with its bodies."""
        run, folded, step = await self.find_step(name)
        with reading_damage(run, MISFIT):
            message = step_message(run, step, self._present(run))
        if step.prompt:
            message.prompt = (await self._store.blob(run, step.prompt)).decode("utf-8", "replace")
        if step.repair is not None:
            told = step.repair.prompt if message.repair.repairing_attempt else step.repair.input or step.repair.prompt
            message.repair.text = (await self._store.blob(run, told)).decode("utf-8", "replace")
        message.text = await self._text(folded, step)
        digest = step.findings or (step.last_attempt.result if step.last_attempt else "")
        if digest:
            message.result.CopyFrom(await self._struct(run, digest))
        if step.output_blob:
            data = await self._store.blob(run, step.output_blob)
            with reading_damage(run, f"blobs, {step.output_blob}"):
                message.output.CopyFrom(await asyncio.to_thread(value, data))
        return message

    async def find_step(self, name: str) -> tuple[str, Run, Step]:
        """Returns a step by its name, with the run's id and the run."""
        run, step = read_step(name)
        folded, _ = await self.folded(run)
        if step not in folded.steps:
            known = ", ".join(folded.steps)
            raise NotFoundError("step", step, hint=f"the run has {known}", metadata={"known": known})
        return run, folded, folded.steps[step]

    async def runs(self, request: pb.ListRunsRequest) -> pb.ListRunsResponse:
        """Lists runs, newest first."""
        size = read_page_size(request.page_size)
        context = _context(request)
        before = _read_run_key(request.page_token, context)
        page = await self._store.runs(_filter(request), size, before)
        token = seal(context, page.next.create_time, page.next.run) if page.next else ""
        return pb.ListRunsResponse(runs=[row_message(row) for row in page.rows], next_page_token=token)

    async def findings(self, request: pb.ListFindingsRequest) -> pb.ListFindingsResponse:
        """Lists a run's findings, most severe first."""
        run = read_run(request.parent, "parent")
        size = read_page_size(request.page_size)
        rank, statuses = _finding_filter(request)
        context = f"{run} {rank} {sorted(statuses)}"
        after = _read_finding_key(request.page_token, context)
        page = await self._store.findings(run, size, after, max_rank=rank, statuses=statuses)
        while size > 1 and sum(len(row.data) for row in page.rows) > MAX_PAGE_CHARACTERS:
            size //= 2
            page = await self._store.findings(run, size, after, max_rank=rank, statuses=statuses)
        findings = await asyncio.to_thread(lambda: [read_finding(run, row) for row in page.rows])
        token = seal(context, page.next.rank, page.next.key) if page.next else ""
        return pb.ListFindingsResponse(findings=findings, next_page_token=token)

    async def folded(self, run: str) -> tuple[Run, int]:
        """Returns a run as it is stored, and its last position."""
        events = await self._store.events(run)
        return fold_stored(run, events), events[-1].position

    async def _struct(self, run: str, digest: str) -> Struct:
        data = await self._store.blob(run, digest)
        with reading_damage(run, f"blobs, {digest}"):
            return await asyncio.to_thread(struct, data)

    async def _text(self, run: Run, step: Step) -> str:
        if step.text:
            data = await self._store.blob(run.id, step.text)
            return _shown(data[:MAX_TEXT_BYTES], len(data), step_name(run.id, step.plan.id))
        if step.last_attempt is None:
            return ""
        data, total = await read_answer(self._store, step.last_attempt, MAX_TEXT_BYTES)
        return _shown(data, total, step_name(run.id, step.plan.id))


def require_settled(run: Run, why: str) -> None:
    """Raises PreconditionError for a run that has not ended; `why` says what needs its end."""
    if not run.is_settled:
        raise PreconditionError(
            "SOURCE_NOT_SETTLED",
            f"run {run.id} is {run.state}; {why}",
            subject=run_name(run.id),
            hint=f"follow it to its end:  conductor watch {run.id}",
        )


def read_finding(run: str, row: FindingRow) -> pb.Finding:
    """Returns the finding of a row. Raises DatabaseDamagedError for a row that makes none."""
    with reading_damage(run, f"findings, {row.finding} of step {row.step}"):
        return finding_message(run, {"step": row.step, **json.loads(row.data)})


def _shown(data: bytes, total: int, name: str) -> str:
    text = data.decode("utf-8", "ignore")
    left = total - len(data)
    return text if left <= 0 else f"{text}\n[… {left} more bytes: ReadOutput of {name} returns them]"


def _filter(request: pb.ListRunsRequest) -> RunFilter:
    violations = []
    if len(request.labels) > MAX_LABELS:
        violations.append(Violation("labels", f"are {len(request.labels)}; at most {MAX_LABELS} are kept of any run"))
    if unknown := [number for number in request.states if number not in pb.Run.State.values()]:
        violations.append(Violation("states", f"{unknown[0]} is no value of the enumeration"))
    if violations:
        raise InvalidRequestError(*violations)
    wanted = RunFilter(
        flow=request.flow,
        states=read_run_states(list(request.states)),
        labels=dict(request.labels),
        workspace_path=request.workspace_path,
        text=request.text,
        sub_runs=request.include_sub_runs,
    )
    if request.HasField("create_time_from"):
        wanted = replace(wanted, create_time_from=seconds(request.create_time_from))
    if request.HasField("create_time_before"):
        wanted = replace(wanted, create_time_before=seconds(request.create_time_before))
    return wanted


def _context(request: pb.ListRunsRequest) -> str:
    """Returns everything of the request but the place: a token belongs to one filter."""
    asked = pb.ListRunsRequest()
    asked.CopyFrom(request)
    asked.page_token, asked.page_size = "", 0
    return f"runs {asked.SerializeToString(deterministic=True).hex()}"


def _read_run_key(token: str, context: str) -> RunKey | None:
    if not token:
        return None
    match unseal(token, context, "page_token"):
        case [float() | int() as create_time, str(run)]:
            return RunKey(create_time, run)
        case _:
            raise InvalidRequestError(Violation("page_token", "is not a token of this list"))


def _read_finding_key(token: str, context: str) -> FindingKey | None:
    if not token:
        return None
    match unseal(token, context, "page_token"):
        case [int(rank), int(key)]:
            return FindingKey(rank, key)
        case _:
            raise InvalidRequestError(Violation("page_token", "is not a token of this list"))


def _finding_filter(request: pb.ListFindingsRequest) -> tuple[int, tuple[str, ...]]:
    try:
        return max_rank(request.min_severity), tuple(status_word(status) for status in request.statuses)
    except ValueError as error:
        field = "min_severity, statuses"
        raise InvalidRequestError(Violation(field, "hold a number that is not a value of the enumeration")) from error
