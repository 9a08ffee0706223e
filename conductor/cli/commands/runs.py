"""`conductor runs`, `cancel`, `pause` and `resume`: what there is, and stopping it."""

import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click

from conductor.cli.connection import CALL_SECONDS, connected
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.following import say_next
from conductor.cli.text.names import run_name, short
from conductor.cli.text.scopes import place_of
from conductor.cli.text.wording import SETTLED_RUN, asked_for, findings, run_look, run_state
from conductor.cli.views.view import as_json
from conductor.v1 import run_service_pb2
from servicekit.printing.cells import cells, cut, cut_before, padded
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put, say, width
from servicekit.printing.terminal_text import one_line

Run = run_service_pb2.Run
STATES = ("queued", "running", "paused", "cancelling", "succeeded", "failed", "cancelled")
LONGEST_PATH = 4096
TITLE_CHARACTERS = 30  # of a line


@click.command()
@click.option("--flow", default="", help="Only this flow's.")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only these; repeatable.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Only with this label; repeatable.")
@click.option("--text", default="", help="Only with this in the question.")
@click.option("--workspace", type=click.Path(path_type=Path), help="Only over this directory.")
@click.option(
    "--after",
    metavar="TIME",
    help="Only asked for at this time or later: 2026-11-30, 2026-11-30T09:00, or 2d for an age.",
)
@click.option("--before", metavar="TIME", help="Only asked for before this time.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@click.pass_obj
def runs(context: Context, /, **options: object) -> None:
    """List runs, newest first."""
    request = _list_request(options)
    with connected(context.address) as connection:
        shown, limit, is_paused = 0, request.page_size, False
        while True:
            answer = connection.runs.ListRuns(request, timeout=CALL_SECONDS)
            for line in map(as_json, answer.runs) if context.is_json else run_lines(answer.runs, width()):
                say(line)
            shown += len(answer.runs)
            is_paused |= any(run.state == Run.STATE_PAUSED for run in answer.runs)
            request.page_token, request.page_size = answer.next_page_token, limit - shown
            # A page may be short, or empty, and still have a next.
            if not request.page_token or shown >= limit:
                break
        if not shown and not context.is_json:
            is_filtered = any(
                options[name] for name in ("flow", "states", "labels", "text", "workspace", "after", "before")
            )
            say_next(
                "no such runs; see all:  conductor runs"
                if is_filtered
                else "no runs; start one:  conductor run survey PATH",
                err=True,
            )
        if request.page_token and not context.is_json:
            say("there are more:  --limit 500", err=True)
        if is_paused and not context.is_json:
            say_next("some may wait for your decision:  conductor gates", err=True)


def _list_request(options: dict[str, object]) -> run_service_pb2.ListRunsRequest:
    from conductor.cli.commands.requests import named_values, workspace_at

    flow = str(options["flow"])
    request = run_service_pb2.ListRunsRequest(
        page_size=int(str(options["limit"])),
        flow=flow if not flow or flow.startswith("flows/") else f"flows/{flow}",
        labels=dict(named_values("--label", options["labels"])),
        text=str(options["text"]),
    )
    chosen = options["states"] if isinstance(options["states"], tuple) else ()
    if options["workspace"] is not None:
        request.workspace_path = workspace_at(Path(str(options["workspace"]))).path
    for option, field in (("after", request.create_time_from), ("before", request.create_time_before)):
        if options[option] is not None:
            field.FromSeconds(_moment(f"--{option}", str(options[option])))
    request.states.extend(Run.State.Value(f"STATE_{str(state).upper()}") for state in chosen)
    return request


def _moment(option: str, given: str) -> int:
    """Returns the second that a date, a time or an age means; a time without a zone is of this machine's."""
    from conductor.config import AGES, read_quantity

    try:
        return int(datetime.fromisoformat(given).timestamp())
    except ValueError:
        pass
    try:
        return int(time.time()) - read_quantity(given, AGES)
    except ValueError:
        raise CommandError(
            f"{option} takes a date, a time or an age, not '{given}'",
            lines=("such as 2026-11-30, 2026-11-30T09:00 or 2d",),
        ) from None


def run_lines(listed: Sequence[Run], columns: int | None) -> Iterator[str]:
    """Returns a line for each run, or two where a page's longest line would not fit the terminal."""
    flow_width = max((cells(_flow(run)) for run in listed), default=0)
    rows = [_run_columns(run, flow_width) for run in listed]
    if columns is None or all(cells(f"{first}  {second}") <= columns for first, second in rows):
        yield from (f"{first}  {second}" for first, second in rows)
        return
    for run, (first, _) in zip(listed, rows, strict=True):
        yield cut(first.rstrip(), columns)
        about = _about(run)
        # A path's end tells more than its beginning.
        yield f"    {about}{cut_before(one_line(place_of(run.workspace), LONGEST_PATH), columns - 4 - cells(about))}"


def _about(run: Run) -> str:
    """Returns what it found, where it has ended, its title, and who asked for it: what stands before its workspace."""
    found = findings(run.finding_counts) if run.state in SETTLED_RUN and run.HasField("finding_counts") else ""
    title = f"“{one_line(run.title, TITLE_CHARACTERS)}”" if run.title else ""
    by = f"by {one_line(run.created_by, 100)}" if ":" in run.created_by else ""  # others are only where a caller was
    return "".join(f"{part}  " for part in (found, title, by) if part)


def _flow(run: Run) -> str:
    return one_line(run.flow.removeprefix("flows/"), 40)


def _run_columns(run: Run, flow_width: int) -> tuple[str, str]:
    glyph, _ = run_look(run.state)
    flow = padded(_flow(run), max(flow_width, 10))
    first = f"{glyph} {short(run.name)}  {run_state(run.state):<10}  {asked_for(run, '%Y-%m-%d %H:%M %Z')}  {flow}"
    return first, f"{_about(run)}{one_line(place_of(run.workspace), LONGEST_PATH)}"


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--reason", default="", help="For people.")
@click.pass_obj
def cancel(context: Context, name: str, reason: str) -> None:
    """Stop RUN: its agents' processes end, what they said stays."""
    with connected(context.address) as connection:
        request = run_service_pb2.CancelRunRequest(
            name=run_name(connection, name, changes=True), reason=reason, request_id=str(uuid.uuid4())
        )
        run = connection.runs.CancelRun(request, timeout=CALL_SECONDS)
    _tell(context, run, "see it end:  conductor watch")


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--reason", default="", help="For people.")
@click.pass_obj
def pause(context: Context, name: str, reason: str) -> None:
    """Let no further agent of RUN begin; those at work go on."""
    with connected(context.address) as connection:
        request = run_service_pb2.PauseRunRequest(
            name=run_name(connection, name, changes=True), reason=reason, request_id=str(uuid.uuid4())
        )
        run = connection.runs.PauseRun(request, timeout=CALL_SECONDS)
    _tell(context, run, "let it go on:  conductor resume")


@click.command()
@click.argument("name", metavar="RUN")
@click.pass_obj
def resume(context: Context, name: str) -> None:
    """Let RUN go on after `conductor pause`. Gates that wait are decided by `conductor approve` and `reject`."""
    with connected(context.address) as connection:
        request = run_service_pb2.ResumeRunRequest(
            name=run_name(connection, name, changes=True), request_id=str(uuid.uuid4())
        )
        run = connection.runs.ResumeRun(request, timeout=CALL_SECONDS)
    _tell(
        context, run, "decide its gates:  conductor gates" if run.HasField("pause") else "follow it:  conductor watch"
    )


def _tell(context: Context, run: Run, following: str) -> None:
    with verdict(0):
        if context.is_json:
            put(as_json(run))
        else:
            say(f"{run.name} {run_state(run.state)}")
            say_next(f"{following} {short(run.name)}", err=True)
