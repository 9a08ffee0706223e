"""Reads the inputs of an evaluation from the store and from snapshots: bundle, inputs, results, cited files.

It reads and truncates, and judges nothing. A step sees the steps that it needs, directly or through others, so its result does not
depend on when it is asked for. An unfinished run is taken from the engine, where it is as it was stored last: each read that is
saved spares a step of a chain a way to another thread.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from conductor.config import Clocks
from conductor.core.folded.attempt import Attempt
from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.plan import ForeachPlan, LoopPlan, StepPlan
from conductor.core.model.work import Work
from conductor.evaluation.reports.gaps import gaps, notes_of
from conductor.evaluation.reports.run_facts import Part, path_in, run_facts
from conductor.evaluation.retrying import retried
from conductor.evaluation.visibility import list_counted, list_finders, list_items, parts_of, short_name, visible_steps
from conductor.evaluation.workers.frames import Frame
from conductor.evaluation.workers.kept_bytes import KeptBytes
from conductor.evaluation.workers.limits import MAX_CITED_BYTES, MAX_CITED_FILE_BYTES, MAX_REQUEST_BYTES, MAX_TEXT_BYTES
from conductor.snapshots.store import SnapshotStore
from conductor.snapshots.storing.contents import NoContent
from conductor.store.answers import read_answer
from conductor.store.folding import fold_stored
from conductor.store.port import Store

FILES_AT_ONCE = 8
TOOLS = frozenset({"survey", "facts", "command"})  # deterministic agents of hosts that do not tell which are
MAX_TOLD_PATH_CHARACTERS = 120


class TooMuchError(Exception):
    """The inputs of an evaluation are larger than a request may be."""


class Gathering:
    """Makes frames for workers."""

    def __init__(
        self,
        store: Store,
        snapshots: SnapshotStore,
        current: Callable[[str], Run | None] = lambda _: None,
        clocks: Clocks | None = None,
    ) -> None:
        self.clocks = clocks or Clocks()
        self._store = store
        self._snapshots = snapshots
        self._current = current
        self._kept = KeptBytes()

    @retried
    async def run(self, name: str) -> Run:
        """Returns the run as it is stored now."""
        if (current := self._current(name)) is not None:
            return current
        return fold_stored(name, await self._store.events(name))

    @retried
    async def for_step(self, run: Run, task: str, step: str) -> Frame:
        """Returns a frame about a step, with the results of all steps that it sees, and with its items and rounds."""
        results = await self._results(run, visible_steps(run, step))
        scopes = json.dumps(await self._scopes(run, step)).encode()
        frame = Frame({"task": task, "step": step}, (*await self._pinned(run), results, scopes))
        return await self._with_snapshot(run, frame)

    @retried
    async def for_round(self, run: Run, task: str, step: str, number: int) -> Frame:
        """Returns a frame about a round of a loop, with the results of its steps beside those that the loop sees."""
        own = [child.plan.id for child in list_items(run, step)[number - 1]]
        results = await self._results(run, (*visible_steps(run, step), *own))
        scopes = [*await self._scopes(run, step), await self._round(run, step, number)]
        frame = Frame({"task": task, "step": step}, (*await self._pinned(run), results, json.dumps(scopes).encode()))
        return await self._with_snapshot(run, frame)

    @retried
    async def for_children(self, run: Run, task: str, step: str) -> Frame:
        """Returns a frame about a step with items or rounds, with their results and the documents of their findings."""
        documents = await self._documents(run, list_counted(run, run.children.get(step, ())))
        items = json.dumps(await self._items(run, run.steps[step])).encode()
        if len(items) > MAX_REQUEST_BYTES:
            raise TooMuchError(f"the results of its items have more than {MAX_REQUEST_BYTES} bytes")
        return Frame({"task": task, "step": step, "documents": documents}, (*await self._pinned(run), items))

    @retried
    async def for_report(self, run: Run) -> Frame:
        """Returns the frame for the report, with all results, and with what changed in the user's tree meanwhile."""
        found = await self._documents(run, list_finders(run, run.steps))
        counted = list_counted(run, run.steps)
        plan = run.plan
        changes = None  # its caller tells of a sub-run's workspace, and a pushed one is elsewhere
        if plan.parent is None and not plan.workspace_snapshot:
            changes = await self._snapshots.changes(plan.workspace_path, plan.workspace_mode, plan.snapshot)
        sub_runs = await self._sub_runs(run, "")
        header = {
            "task": "report",
            "facts": {**run_facts(run, changes, sub_runs), **gaps(found)},
            "documents": {name: found[name] for name in counted if not found[name].get("unread")},
            "notes": {**notes_of(run, found), **await self._sub_notes(sub_runs)},
        }
        own = [name for name, step in run.steps.items() if not step.plan.parent]
        frame = Frame(header, (*await self._pinned(run), await self._results(run, own)))
        return await self._with_snapshot(run, frame)

    @retried
    async def for_rendering(self, run: Run, form: str, options: Mapping[str, Any]) -> Frame:
        """Returns the frame for another form of a stored report, without the files that it cites."""
        return Frame({"task": "render", "form": form, "options": dict(options)}, (await self._blob(run, run.json),))

    @retried
    async def for_collecting(self, run: Run, step: str) -> Frame:
        """Returns a frame about the sub-run of a step: its report, the findings of its steps that count, and its outputs."""
        sub_run = run.steps[step].sub_run
        ended = await self.run(sub_run.run if sub_run is not None else "")
        documents = await self._documents(ended, list_counted(ended, ended.steps))
        report = await self._blob(ended, ended.markdown) if ended.markdown else b""
        outputs = await self._blob(ended, ended.outputs) if ended.outputs else b""
        return Frame({"task": "collect", "step": step}, (report, json.dumps(documents).encode(), outputs))

    @retried
    async def result_of(self, run: Run, attempt: str) -> bytes:
        """Returns an attempt's structured result, of its last turn; empty where there is none."""
        found = _find_attempt(run, attempt)
        return await self._blob(run, found.result) if found is not None and found.result else b""

    @retried
    async def for_citing(self, run: Run, step: str, result: bytes) -> Frame:
        """Returns a frame for the files that a result cites."""
        return Frame({"task": "cite", "step": step}, (result, await self._blob(run, run.plan.bundle)))

    @retried
    async def for_extraction(self, run: Run, step: str, attempt: str) -> Frame:
        """Returns a frame for the findings in an attempt's answer."""
        answer = await self._answer(run, attempt)
        return Frame({"task": "extract", "step": step}, (answer, await self._blob(run, run.plan.bundle)))

    @retried
    async def for_edit(self, run: Run, step: str, text: bytes) -> Frame:
        """Returns a frame for judging what a person gives in the place of a step's output."""
        return Frame({"task": "edit", "step": step}, (text, await self._blob(run, run.plan.bundle)))

    @retried
    async def for_repair(
        self, run: Run, step: str, attempt: str, errors: Sequence[str], *, is_usable: bool = False
    ) -> Frame:
        """Returns a frame for asking an agent to repair its answer: with its prompt, its answer and its result."""
        answer = await self._answer(run, attempt)
        prompt = await self._blob(run, run.steps[step].prompt)
        header = {"task": "repair", "errors": list(errors), "is_usable": is_usable}
        return Frame(header, (prompt, answer, await self.result_of(run, attempt)))

    def remember(self, digest: str, data: bytes) -> None:
        """Keeps a blob that is on its way to the store. It is asked for only after its event was stored."""
        self._kept.put(digest, data)

    async def for_check(self, run: Run, work: Work, result: bytes, paths: Sequence[str]) -> Frame:
        """Returns a frame for checking a result's citations: with the files that it cites, as many as fit."""
        bundle = await self._blob(run, run.plan.bundle)
        asked = _find_attempt(run, work.attempt)
        agent, model = (asked.agent, asked.model or asked.agent) if asked else ("", "")
        repair = run.steps[work.step].repair
        usable = repair.usable.findings if repair is not None and repair.usable is not None else ""
        former = json.loads(await self._blob(run, usable)) if usable else None
        header = {"task": "check", "step": work.step, "agent": agent, "model": model, "former": former}
        header["names_places"] = asked is not None and _may_name_places(asked)
        header["asks_model"] = asked is not None and bool(asked.pool)
        frame = await self._with_snapshot(run, Frame(header, (result, bundle)))
        return await self.with_files(run, frame, paths)

    @retried
    async def with_files(self, run: Run, frame: Frame, paths: Sequence[str]) -> Frame:
        """Returns the frame with these files of the snapshot behind its attachments, as many as fit."""
        files: dict[str, int] = {}
        unread: dict[str, str] = {}
        contents = list(frame.attachments)
        room = MAX_CITED_BYTES
        for start in range(0, len(paths), FILES_AT_ONCE):
            asked = paths[start : start + FILES_AT_ONCE]
            if room <= 0:
                unread |= dict.fromkeys(asked, f"this result cites more than {MAX_CITED_BYTES // 1024**2} MiB of files")
                continue
            read = await self._snapshots.read_files(run.plan.snapshot.commit, asked, MAX_CITED_FILE_BYTES)
            for path, data in read.items():
                if isinstance(data, NoContent):
                    unread[path] = _why_unread(path, data)
                else:
                    files[path] = len(contents)
                    contents.append(data)
                    room -= len(data)
        return Frame({**frame.header, "files": files, "unread": unread}, tuple(contents))

    async def _with_snapshot(self, run: Run, frame: Frame) -> Frame:
        """Returns the frame with the run's name and scope (see `pinned`), and with the changes behind its attachments."""
        plan = run.plan.snapshot
        told = {"commit": plan.commit, "base": plan.base_commit, "scope": plan.scope, "paths": list(plan.paths)}
        header = {**frame.header, "snapshot": told, "run": {"id": run.id, "flow": run.plan.flow}}
        if not plan.changes:
            return Frame(header, frame.attachments)
        header["changes"] = len(frame.attachments)
        # A sub-run has the snapshot of the run that a caller asked for, which keeps the changes.
        return Frame(header, (*frame.attachments, await self._blob_of(run.plan.root, plan.changes)))

    async def _pinned(self, run: Run) -> tuple[bytes, bytes]:
        return await self._blob(run, run.plan.bundle), await self._blob(run, run.plan.inputs)

    async def _blob(self, run: Run, digest: str) -> bytes:
        return await self._blob_of(run.id, digest)

    async def _blob_of(self, run: str, digest: str) -> bytes:
        data = self._kept.get(digest)
        if data is None:
            data = await self._store.blob(run, digest)
            self._kept.put(digest, data)
        return data

    async def _sub_runs(self, run: Run, outer: str) -> list[Part]:
        """Returns the sub-runs of a run, those inside others after them, with the steps that made them."""
        parts: list[Part] = []
        for name, step in run.steps.items():
            if step.sub_run is not None:
                inner, path = await self.run(step.sub_run.run), path_in(outer, name)
                parts += [(path, inner), *await self._sub_runs(inner, path)]
        return parts

    async def _sub_notes(self, parts: Sequence[Part]) -> dict[str, list[str]]:
        """Returns what sub-runs tell of their steps, under the ids that these have in the run."""
        told: dict[str, list[str]] = {}
        for outer, run in parts:
            found = await self._documents(run, list_finders(run, run.steps))
            told |= {path_in(outer, name): notes for name, notes in notes_of(run, found).items()}
        return told

    async def _scopes(self, run: Run, step: str) -> list[dict[str, Any]]:
        """Returns the items and rounds that a step belongs to, the innermost last."""
        scopes: list[dict[str, Any]] = []
        for part in parts_of(run, step):
            plan = part.plan
            if plan.round:
                scopes.append(await self._round(run, plan.parent, plan.round))
            else:
                item = await self._item(run, plan)
                scopes.append({"parent": plan.parent, "item": item, "index": plan.index})
        return scopes

    async def _round(self, run: Run, step: str, number: int) -> dict[str, Any]:
        before = list_items(run, step)[number - 2] if number > 1 else []
        previous = {short_name(child.plan.id): await self._result(run, child) for child in before}
        return {"round": number, "previous": previous}

    async def _item(self, run: Run, plan: StepPlan) -> Any:
        """Returns the item of a child, from the blob that holds one a line; for a panel the name of an agent."""
        if plan.item:
            return json.loads((await self._blob(run, plan.item)).split(b"\n")[plan.index])
        agents = _panel_of(run.steps[plan.parent])
        return agents[plan.index] if agents else None

    async def _items(self, run: Run, step: Step) -> list[dict[str, Any]]:
        """Returns the items or rounds of a step, with the results of their steps: what a worker gathers into its output."""
        listed = step.items.listed
        values = (await self._blob(run, listed)).split(b"\n") if listed else list(map(json.dumps, _panel_of(step)))
        return [
            {
                "item": json.loads(values[index]) if index < len(values) else None,
                "state": "failed" if index in step.items.failed else "succeeded",
                "steps": {short_name(child.plan.id): await self._result(run, child) for child in children},
            }
            for index, children in enumerate(list_items(run, step.plan.id))
        ]

    async def _results(self, run: Run, names: Iterable[str]) -> bytes:
        """Returns the results of steps as one JSON object, joined from pieces that are made once."""
        pieces: list[bytes] = []
        room = MAX_REQUEST_BYTES
        for name in names:
            step = run.steps[name]
            key = (run.id, name, step.end_time)
            piece = self._kept.get(key)
            if piece is None:
                piece = json.dumps({short_name(name): await self._result(run, step)})[1:-1].encode()
                if step.is_settled:  # only then its result stays the same
                    self._kept.put(key, piece)
            room -= len(piece)
            if room < 0:
                raise TooMuchError(f"the results that it needs have more than {MAX_REQUEST_BYTES} bytes")
            pieces.append(piece)
        return b"{" + b",".join(pieces) + b"}"

    async def _result(self, run: Run, step: Step) -> dict[str, Any]:
        value: dict[str, Any] = {"state": step.state.value}
        if attempts := step.reused.attempts if step.reused is not None else len(step.attempts):
            value["attempts"] = attempts
        if step.failure is not None:
            value["error"] = {"reason": step.failure.reason, "message": step.failure.message}
        if not step.has_text:
            return value
        data, total = await self._text(run, step)
        # A character that was cut in its middle is lost.
        value |= {"text": data.decode(errors="ignore"), "text_bytes": total}
        if step.findings:
            document = await self._findings(run, step)
            value["findings"] = document["findings"]
            if "coverage" in document:
                value["coverage"] = document["coverage"]
        if step.output_blob:
            name = "items" if isinstance(step.plan.work, ForeachPlan | LoopPlan) else "output"
            value[name] = json.loads(await self._blob(run, step.output_blob))
        return value

    async def _text(self, run: Run, step: Step) -> tuple[bytes, int]:
        """Returns a step's text, at most `MAX_TEXT_BYTES` of it, and its whole size."""
        if step.text:
            data = await self._blob(run, step.text)
            return data[:MAX_TEXT_BYTES], max(len(data), step.reused.text_bytes if step.reused is not None else 0)
        attempt = step.last_attempt
        if attempt is None or not attempt.ended_well:
            return b"", 0
        return await read_answer(self._store, attempt, MAX_TEXT_BYTES)

    async def _answer(self, run: Run, attempt: str) -> bytes:
        """Returns the beginning of an attempt's answer; empty where the run has no such attempt."""
        found = _find_attempt(run, attempt)
        return (await read_answer(self._store, found, MAX_TEXT_BYTES))[0] if found is not None else b""

    async def _documents(self, run: Run, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        return {name: await self._findings(run, run.steps[name]) for name in names}

    async def _findings(self, run: Run, step: Step) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(await self._blob(run, step.findings))
        return document


def _panel_of(step: Step) -> tuple[str, ...]:
    return step.plan.work.agents if isinstance(step.plan.work, ForeachPlan) else ()


def _may_name_places(attempt: Attempt) -> bool:
    """Returns whether findings of an attempt may name places without a quote: never those of an agent that asks a model."""
    return not attempt.pool and (attempt.names_places or attempt.agent in TOOLS)


def _why_unread(path: str, why: NoContent) -> str:
    match why:
        case NoContent.TOO_LARGE:
            return f"it is larger than {MAX_CITED_FILE_BYTES // 1024**2} MiB"
        case NoContent.NO_REGULAR_FILE:
            return "it is no regular file"
        case _:
            return f"there is no file {path}" if len(path) <= MAX_TOLD_PATH_CHARACTERS else "there is no such file"


def _find_attempt(run: Run, attempt: str) -> Attempt | None:
    return next((tried for step in run.steps.values() for tried in step.attempts if tried.id == attempt), None)
