"""`conductor show`: how one run stands with its steps, or one of its steps with what it was asked and answered."""

import json
import time
from collections.abc import Iterator

import click
from google.protobuf import json_format

from conductor.cli.connection import CALL_SECONDS, connected
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED
from conductor.cli.text.following import say_next
from conductor.cli.text.gates import decided, first_commands
from conductor.cli.text.names import run_name, short, step_name
from conductor.cli.text.scopes import place_of, scope
from conductor.cli.text.wording import (
    SETTLED_RUN,
    asked_for,
    counted,
    elapsed,
    is_cut,
    model_use,
    not_whole,
    repair,
    run_look,
    run_state,
    step_look,
    step_state,
    tried_again,
    turn_state,
    workspace_changes,
)
from conductor.cli.views.lines import step_facts, summary
from conductor.cli.views.run_state import StepRow
from conductor.cli.views.view import as_json
from conductor.core.numbers import as_written
from conductor.v1 import flow_service_pb2, run_service_pb2
from servicekit.printing.output_lost import READER_LEFT, verdict
from servicekit.printing.page import put, say
from servicekit.printing.terminal_text import one_line, printable

Run = run_service_pb2.Run


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("step", metavar="[STEP]", required=False)
@click.pass_obj
def show(context: Context, name: str, step: str | None) -> int:
    """Show RUN with its steps, or one STEP (its id, label or path, such as CALL.STEP) with its prompt and its answer."""
    with connected(context.address) as connection:
        if step is not None:
            asked = run_service_pb2.GetStepRequest(name=step_name(connection, name, step))
            show_step(context, connection.runs.GetStep(asked, timeout=CALL_SECONDS))
            return 0
        asked_run = run_service_pb2.GetRunRequest(name=run_name(connection, name))
        run = connection.runs.GetRun(asked_run, timeout=CALL_SECONDS)
        if context.is_json:
            put(as_json(run))
            return 0
    with verdict(RUN_FAILED if run.damage else READER_LEFT):
        _show_run(run)
        return _show_damage(run.damage) if run.damage else 0


def _show_damage(damage: str) -> int:
    say(f"✘ this run is damaged, and nothing is known of its steps: {one_line(damage, 300)}", 2)
    say_next("  see what is damaged, and what to do:  conductor doctor", err=True)
    return RUN_FAILED


def _show_run(run: Run) -> None:
    glyph, _ = run_look(run.state)
    settled = run.state in SETTLED_RUN
    say(summary(run) if settled else f"{glyph} {run.flow.removeprefix('flows/')} {run_state(run.state)}", 2)
    say(f"  run        {run.name}")
    if title := one_line(run.title, 200):
        say(f"  title      {title}", 13)
    for line in _request_lines(run):
        say(line, 13)
    if run.band_reason:
        say(f"  band       {one_line(run.band_reason, 500)}", 13)
    _show_origin(run)
    say(f"  workspace  {printable(place_of(run.workspace))}")
    snapshot, dirty = run.snapshot, ""
    if snapshot.dirty_count:
        dirty = f", {counted(snapshot.dirty_count, 'path')} differing from {snapshot.head_commit[:12]}"
    say(f"  snapshot   {snapshot.commit[:12]}{dirty}")
    if about := scope(run):
        say(f"  scope      {about}", 13)
    if changed := workspace_changes(run.workspace_changes):
        say(f"  changed    {changed}", 13)
    if question := one_line(str(dict(run.inputs).get("question", "")), 300):
        say(f"  question   {question}", 13)
    say()
    if run.damage:
        return
    for step in run.steps:
        say(f"  {_step_line(step)}", 6)
    run_id = short(run.name)
    following = f"its report:  conductor report {run_id}" if settled else f"follow it:   conductor watch {run_id}"
    lines = [*_next_for(run), f"\n{following}", f"a step:      conductor show {run_id} STEP"]
    say_next("\n".join(lines), err=True)


def _request_lines(run: Run) -> Iterator[str]:
    """Yields when and by whom a run was asked for, and who cancelled, paused and resumed it."""
    by = f" by {one_line(run.created_by, 100)}" if run.created_by else ""
    band = flow_service_pb2.Band.Name(run.band)[5:].lower()
    yield f"  asked for  {asked_for(run, '%Y-%m-%d %H:%M:%S %Z')}{by}, band {band}"
    for what, who in (("cancelled", run.cancelled_by), ("paused", run.pause.paused_by), ("resumed", run.resumed_by)):
        if who:
            yield f"  {what:<9}  by {one_line(who, 100)}"
    if run.trace_id:
        yield f"  trace      {one_line(run.trace_id, 32)}"


def _show_origin(run: Run) -> None:
    if run.parent:
        above, _, step = run.parent.partition("/steps/")
        say(f"  part of    {short(above)}, step {step}")
    if run.retry_of:
        say(f"  retries    {short(run.retry_of)}")


def _next_for(run: Run) -> Iterator[str]:
    """Yields what lets a paused run go on."""
    for step in run.steps:
        if (gate := StepRow(step).gate) is not None:
            yield "\n".join(("", *first_commands(gate)))
    if run.pause.cause == run_service_pb2.Pause.CAUSE_OPERATOR:
        yield f"\nlet it go on:  conductor resume {short(run.name)}"


def _step_line(step: run_service_pb2.Step) -> str:
    """Returns `✔ docs  Documentation  succeeded  survey on alpha  1.2 s`, with the id that other commands take."""
    row = StepRow(step)
    glyph, _ = step_look(step.state)
    label = row.label if row.label != row.id else ""
    parts = (f"{glyph} {row.id}", label, step_state(step.state), *step_facts(row, time.time()))
    return "  ".join(part for part in parts if part)


def show_step(context: Context, step: run_service_pb2.Step) -> None:
    """Prints one step with its attempts, its prompt, the request to repair its answer, and its answer."""
    if context.is_json:
        put(as_json(step))
        return
    say(_step_line(step))
    for attempt in step.attempts:
        state = run_service_pb2.Attempt.State.Name(attempt.state).removeprefix("STATE_").lower()
        is_last = attempt.id == step.attempts[-1].id
        repaired = step.repair if step.HasField("repair") and step.repair.attempt == attempt.id else None
        say(f"  {attempt.id}  {state}{_attempt_facts(attempt, repaired, is_last=is_last)}", 6)
    if step.HasField("gate"):
        say(f"  {step.gate.title}: {decided(step.gate)}", 4)
        say("\n".join(f"  {line}" for line in first_commands(step.gate)[: 2 if StepRow(step).gate else 1]), err=True)
    texts = ("prompt", step.prompt), ("repair", step.repair.text), ("answer", step.text), ("output", shown_output(step))
    for title, text in texts:
        if text:
            put(f"\n--- {title} ---\n{text.rstrip()}")
    if step.text and step.attempts and is_cut(step.attempts[-1]):
        say(f"\n{not_whole(step.attempts[-1])}")
    _, run_id, _, step_id = step.name.split("/")
    if step.sub_run:
        say_next(f"\nlook inside:  conductor show {short(step.sub_run)}", err=True)
        say_next(f"a step of it:  conductor show {run_id} {step_id}.STEP", err=True)
    if step.HasField("failure") and step.attempts:
        say_next(f"\nwhat it logged:  conductor output {run_id} {step_id} --channel log", err=True)


def shown_output(step: run_service_pb2.Step) -> str:
    """Returns a step's output as JSON; nothing where it is findings, which `conductor findings` lists."""
    if not step.HasField("output") or step.HasField("finding_counts"):
        return ""
    return printable(json.dumps(as_written(json_format.MessageToDict(step.output)), indent=2, ensure_ascii=False))


def _attempt_facts(attempt: run_service_pb2.Attempt, repaired: run_service_pb2.Repair | None, *, is_last: bool) -> str:
    facts = [printable(attempt.placement_reason)] if attempt.placement_reason else []
    if attempt.HasField("start_time") and attempt.HasField("end_time"):
        took = (attempt.end_time.ToNanoseconds() - attempt.start_time.ToNanoseconds()) / 1e9
        facts.append(elapsed(took))
    if attempt.HasField("exit_code"):
        facts.append(f"exit code {attempt.exit_code}")
    if attempt.HasField("signal"):
        facts.append(f"signal {attempt.signal}")
    if attempt.HasField("failure"):
        message = attempt.failure.message if is_last else tried_again(attempt.failure.message)
        facts.append(one_line(f"{attempt.failure.reason}: {message}", 400))
    if attempt.ended_turns:
        turns = ", ".join(f"turn {turn.number} {turn_state(turn.state)}" for turn in attempt.ended_turns)
        facts.append(turns)
    if repaired is not None:
        facts.append(repair(repaired))
    if attempt.HasField("model_use"):
        facts.append(model_use(attempt.model_use))
    if attempt.HasField("confinement"):
        confined = attempt.confinement
        facts.append(f"confined by {confined.mechanism}, uid {confined.uid}, policy {confined.policy_digest[:12]}")
    return "".join(f"\n    {fact}" for fact in facts)
