"""Runs, attempts and findings for tests of the store: small, plausible, and different by number."""

import hashlib
import json
from collections.abc import Awaitable, Iterable
from pathlib import Path

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.attempt_events import AttemptCreated
from conductor.core.model.events.event_parts import FindingCounts, StartSpec
from conductor.core.model.events.run_events import Event, RunCreated, RunSettled, StepSucceeded
from conductor.core.model.inputs import Blob
from conductor.core.model.output import Channel, Output
from conductor.core.model.plan import AgentPlan, FoldPlan, RunPlan, SnapshotPlan, StepPlan
from conductor.core.model.states import RunState
from conductor.store.port import Store
from conductor.store.sqlite.upkeep.examination import Damage, examine

LENSES = ("risks", "docs")


def run_name(number: int) -> str:
    return f"{number:026d}"


def blob(data: bytes) -> Blob:
    return Blob(hashlib.sha256(data).hexdigest(), data)


def steps() -> tuple[StepPlan, ...]:
    agent = AgentPlan(("survey",))
    lenses = tuple(StepPlan(lens, agent) for lens in LENSES)
    return (*lenses, StepPlan("merge", FoldPlan(), needs=LENSES))


def plan(run: str, **changes: object) -> RunPlan:
    inputs = blob(b'{"question":"why?"}')
    values: dict[str, object] = {
        "run": run,
        "flow": "flows/survey",
        "flow_revision": "r1",
        "bundle": blob(b"bundle").digest,
        "inputs": inputs.digest,
        "workspace_path": "/src/a",
        "workspace_mode": "working_tree",
        "workspace_revision": "",
        "snapshot": SnapshotPlan("c" * 40),
        "band": "small",
        "steps": steps(),
        "question": "Why is it slow?",
    }
    return RunPlan(**(values | changes))  # type: ignore[arg-type]


def creation(run: str, request_id: str = "", **changes: object) -> Decision:
    created = RunCreated(plan(run, **changes), request_id, "digest of the body" if request_id else "")
    blobs = (blob(b"bundle"), blob(b'{"question":"why?"}'))
    return Decision(to_store=(Record(run, created, "RunCreated"),), blobs=blobs, durable=True)


def events(run: str, *items: Event) -> Decision:
    return Decision(to_store=tuple(Record(run, item) for item in items), durable=True)


def attempt_name(run: str, step: str = "risks", number: int = 1) -> str:
    return f"{run}-{step}-{number}"


def attempt(run: str, step: str = "risks", number: int = 1) -> Decision:
    name = attempt_name(run, step, number)
    spec = StartSpec(name, "survey", "p" * 64, "c" * 40, (("lens", step),), 60.0, 30.0)
    return events(run, AttemptCreated(step, name, number, "north", "first free", spec))


def said(run: str, text: str, channel: Channel = Channel.ANSWER, step: str = "risks") -> Output:
    return Output(attempt_name(run, step), channel, text)


def speech(run: str, *texts: str, cursor: int = 0) -> Decision:
    cursors = ((attempt_name(run), cursor),) if cursor else ()
    return Decision(to_store=tuple(said(run, text) for text in texts), cursors=cursors)


def settlement(run: str) -> Decision:
    return events(run, RunSettled(RunState.SUCCEEDED))


def finding(title: str, severity: str = "medium", status: str = "verified") -> dict[str, object]:
    return {
        "id": f"{title:0>16.16}",
        "severity": severity,
        "title": title,
        "claim": "c",
        "status": status,
        "evidence": [],
    }


def findings(run: str, step: str, found: Iterable[dict[str, object]], counts: FindingCounts | None = None) -> Decision:
    document = blob(json.dumps({"findings": list(found)}).encode())
    done = StepSucceeded(step, findings=document.digest, counts=counts or FindingCounts())
    return Decision(to_store=(Record(run, done, f"StepSucceeded {step}"),), blobs=(document,), durable=True)


async def tell_all(store: Store, run: str, words: str, title: str, cursor: int) -> None:
    """Stores an attempt that says words, and hands in a finding, of a run that was created before."""
    await store.append(attempt(run), 3.0)
    await store.append(speech(run, words, cursor=cursor), 4.0)
    await store.append(findings(run, "risks", [finding(title)], FindingCounts(verified=1)), 5.0)


def every_read(store: Store, run: str, digest: str) -> tuple[Awaitable[object], ...]:
    """Every way to read something of one run; `digest` is of one of its blobs."""
    return (
        store.run(run),
        store.events(run),
        store.history(run, 0),
        store.history(run, 3),
        store.findings(run, 10),
        store.channel(attempt_name(run), "answer", 0, 0),
        store.blob(run, digest),
    )


def damages(folder: Path) -> list[Damage]:
    """Returns what an examination finds; the runs of these tests are no stories that fold, which is no damage here."""
    return [found for found in examine(folder).damages if "it does not fit" not in found.text]
