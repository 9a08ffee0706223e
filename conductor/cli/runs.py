"""`conductor runs`, `show` and `cancel`: what there is, how it stands, and stopping it."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from conductor.cli.connection import CALL_SECONDS, connected
from conductor.cli.failure import RUN_FAILED
from conductor.cli.main import Context
from conductor.cli.names import run_name, short, step_name
from conductor.cli.page import cut, cut_before, say, width
from conductor.cli.run_view import StepRow
from conductor.cli.terminal_text import one_line, printable
from conductor.cli.views import as_json, step_facts, summary
from conductor.cli.wording import (
    SETTLED_RUN,
    counted,
    elapsed,
    findings,
    run_look,
    run_state,
    step_look,
    step_state,
    workspace_changes,
)
from conductor.v1 import flow_service_pb2, run_service_pb2

Run = run_service_pb2.Run
STATES = ("queued", "running", "cancelling", "succeeded", "failed", "cancelled")
LONGEST_PATH = 4096


@click.command()
@click.option("--flow", default="", help="Only this flow's.")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only these; repeatable.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Only with this label; repeatable.")
@click.option("--text", default="", help="Only with this in the question.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@click.pass_obj
def runs(context: Context, /, **options: object) -> None:
    """List runs, newest first."""
    request = _list_request(options)
    with connected(context.address) as connection:
        shown, limit = 0, request.page_size
        while True:
            answer = connection.runs.ListRuns(request, timeout=CALL_SECONDS)
            for line in map(as_json, answer.runs) if context.is_json else run_lines(answer.runs, width()):
                click.echo(line)
            shown += len(answer.runs)
            request.page_token, request.page_size = answer.next_page_token, limit - shown
            # A page may be short, or empty, and still have a next.
            if not request.page_token or shown >= limit:
                break
        if not shown and not context.is_json:
            is_filtered = any(options[name] for name in ("flow", "states", "labels", "text"))
            click.echo(
                "no such runs; see all:  conductor runs"
                if is_filtered
                else "no runs; start one:  conductor run survey PATH",
                err=True,
            )
        if request.page_token and not context.is_json:
            click.echo("there are more:  --limit 500", err=True)


def _list_request(options: dict[str, object]) -> run_service_pb2.ListRunsRequest:
    from conductor.cli.requests import named_values

    flow = str(options["flow"])
    request = run_service_pb2.ListRunsRequest(
        page_size=int(str(options["limit"])),
        flow=flow if not flow or flow.startswith("flows/") else f"flows/{flow}",
        labels=dict(named_values("--label", options["labels"])),
        text=str(options["text"]),
    )
    chosen = options["states"] if isinstance(options["states"], tuple) else ()
    request.states.extend(Run.State.Value(f"STATE_{str(state).upper()}") for state in chosen)
    return request


def run_lines(listed: Sequence[Run], columns: int | None) -> Iterator[str]:
    """A line a run; two where a page's longest would not fit the terminal: a row without its workspace tells little."""
    rows = [_run_columns(run) for run in listed]
    if columns is None or all(len(f"{first}  {second}") <= columns for first, second in rows):
        yield from (f"{first}  {second}" for first, second in rows)
        return
    for run, (first, _) in zip(listed, rows, strict=True):
        yield cut(first.rstrip(), columns)
        found = f"{findings(run.finding_counts)}  " if run.state in SETTLED_RUN else ""
        # A path's end tells more than its beginning.
        yield f"    {found}{cut_before(one_line(run.workspace.path, LONGEST_PATH), columns - 4 - len(found))}"


def _run_columns(run: Run) -> tuple[str, str]:
    glyph, _ = run_look(run.state)
    flow = one_line(run.flow.removeprefix("flows/"), 40)
    first = f"{glyph} {short(run.name)}  {run_state(run.state):<10}  {_date(run, '%Y-%m-%d %H:%M %Z')}  {flow:<10}"
    found = f"{findings(run.finding_counts)}  " if run.state in SETTLED_RUN else ""
    return first, f"{found}{one_line(run.workspace.path, LONGEST_PATH)}"


def _date(run: Run, form: str) -> str:
    """When it was asked for, in the reader's zone."""
    return datetime.fromtimestamp(run.create_time.seconds).astimezone().strftime(form)


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("step", metavar="[STEP]", required=False)
@click.pass_obj
def show(context: Context, name: str, step: str | None) -> int:
    """Show RUN with its steps, or one STEP (its id or its label) with its prompt and its answer."""
    with connected(context.address) as connection:
        if step is not None:
            asked = run_service_pb2.GetStepRequest(name=step_name(connection, name, step))
            _show_step(context, connection.runs.GetStep(asked, timeout=CALL_SECONDS))
            return 0
        asked_run = run_service_pb2.GetRunRequest(name=run_name(connection, name))
        run = connection.runs.GetRun(asked_run, timeout=CALL_SECONDS)
        if context.is_json:
            click.echo(as_json(run))
            return 0
    _show_run(run)
    # Every run has steps. Of one whose events cannot be read the conductor knows no more than its row in the list.
    return 0 if run.steps else _show_damage()


def _show_damage() -> int:
    say("✘ this run is damaged: what was stored of its steps cannot be read")
    say("  see what is damaged, and what to do:  conductor doctor", err=True)
    return RUN_FAILED


def _show_run(run: Run) -> None:
    glyph, _ = run_look(run.state)
    settled = run.state in SETTLED_RUN
    say(summary(run) if settled else f"{glyph} {run.flow.removeprefix('flows/')} {run_state(run.state)}", 2)
    click.echo(f"  run        {run.name}")
    click.echo(
        f"  asked for  {_date(run, '%Y-%m-%d %H:%M:%S %Z')}, band {flow_service_pb2.Band.Name(run.band)[5:].lower()}"
    )
    click.echo(f"  workspace  {printable(run.workspace.path)}")
    snapshot, dirty = run.snapshot, ""
    if snapshot.dirty_count:
        dirty = f", {counted(snapshot.dirty_count, 'path')} differing from {snapshot.head_commit[:12]}"
    click.echo(f"  snapshot   {snapshot.commit[:12]}{dirty}")
    if changed := workspace_changes(run.workspace_changes):
        say(f"  changed    {changed}", 13)
    if question := one_line(str(dict(run.inputs).get("question", "")), 300):
        say(f"  question   {question}", 13)
    click.echo()
    if not run.steps:
        return
    for step in run.steps:
        say(f"  {_step_line(step)}", 6)
    run_id = short(run.name)
    following = f"its report:  conductor report {run_id}" if settled else f"follow it:   conductor watch {run_id}"
    click.echo(f"\n{following}\na step:      conductor show {run_id} STEP", err=True)


def _step_line(step: run_service_pb2.Step) -> str:
    """`✔ docs  Documentation  succeeded  survey on alpha  1.2 s`: with the id, which is what other commands take."""
    row = StepRow(step)
    glyph, _ = step_look(step.state)
    label = row.label if row.label != row.id else ""
    parts = (f"{glyph} {row.id}", label, step_state(step.state), *step_facts(row, time.time()))
    return "  ".join(part for part in parts if part)


def _show_step(context: Context, step: run_service_pb2.Step) -> None:
    if context.is_json:
        click.echo(as_json(step))
        return
    say(_step_line(step))
    for attempt in step.attempts:
        state = run_service_pb2.Attempt.State.Name(attempt.state).removeprefix("STATE_").lower()
        say(f"  {attempt.id}  {state}{_attempt_facts(attempt)}", 6)
    for title, text in (("prompt", step.prompt), ("answer", step.text)):
        if text:
            click.echo(f"\n--- {title} ---\n{printable(text).rstrip()}")
    if step.HasField("failure") and step.attempts:
        _, run_id, _, step_id = step.name.split("/")
        click.echo(f"\nwhat it logged:  conductor output {run_id} {step_id} --channel log", err=True)


def _attempt_facts(attempt: run_service_pb2.Attempt) -> str:
    facts = [printable(attempt.placement_reason)] if attempt.placement_reason else []
    if attempt.HasField("start_time") and attempt.HasField("end_time"):
        took = (attempt.end_time.ToNanoseconds() - attempt.start_time.ToNanoseconds()) / 1e9
        facts.append(elapsed(took))
    if attempt.HasField("exit_code"):
        facts.append(f"exit code {attempt.exit_code}")
    if attempt.HasField("signal"):
        facts.append(f"signal {attempt.signal}")
    if attempt.HasField("failure"):
        facts.append(one_line(f"{attempt.failure.reason}: {attempt.failure.message}", 400))
    if attempt.HasField("confinement"):
        confined = attempt.confinement
        facts.append(f"confined by {confined.mechanism}, uid {confined.uid}, policy {confined.policy_digest[:12]}")
    return "".join(f"\n    {fact}" for fact in facts)


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--reason", default="", help="For people.")
@click.pass_obj
def cancel(context: Context, name: str, reason: str) -> None:
    """Stop RUN: its agents' processes end, what they said stays."""
    import uuid

    with connected(context.address) as connection:
        request = run_service_pb2.CancelRunRequest(
            name=run_name(connection, name), reason=reason, request_id=str(uuid.uuid4())
        )
        run = connection.runs.CancelRun(request, timeout=CALL_SECONDS)
        if context.is_json:
            click.echo(as_json(run))
        else:
            click.echo(f"{run.name} {run_state(run.state)}")
            click.echo(f"see it end:  conductor watch {short(run.name)}", err=True)
