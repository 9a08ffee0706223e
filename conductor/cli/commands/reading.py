"""`conductor report` and `conductor output`: what a run came to, and what its agents said."""

import json
import sys
import time
from functools import partial
from pathlib import Path

import click
import grpc

from conductor.cli.connection import CALL_SECONDS, Connection, connected
from conductor.cli.main import Context
from conductor.cli.text.brief_report import brief
from conductor.cli.text.failure import CommandError, from_rpc
from conductor.cli.text.following import say_next
from conductor.cli.text.names import run_name, step_name
from conductor.cli.views.follow import Absence, is_away, patiently
from conductor.cli.views.view import say_away, say_back
from conductor.v1 import run_service_pb2
from servicekit.printing.page import put, say
from servicekit.printing.streams import is_utf8
from servicekit.printing.terminal_text import safe_json

FORMS = ("md", "json", "html", "sarif", "junit")
# Rendering waits its turn among the reports of runs that end.
RENDER_SECONDS = 120.0
CHANNELS = ("answer", "reasoning", "log", "activity")
# Between two looks at an attempt that still speaks.
FOLLOW_SECONDS = 0.5
# Enough to see whether a channel holds anything.
LOOK_BYTES = 16


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--format", "form", type=click.Choice(FORMS), default="md", show_default=True)
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write into FILE.", metavar="FILE")
@click.pass_obj
def report(context: Context, name: str, form: str, out: Path | None) -> None:
    """Print the report of RUN."""
    with connected(context.address) as connection:
        request = run_service_pb2.GetReportRequest(name=run_name(connection, name))
        print_form(context, connection, request, form, out)


def print_form(
    context: Context,
    connection: Connection,
    request: run_service_pb2.GetReportRequest,
    form: str,
    out: Path | None = None,
) -> None:
    """Prints a report on stdout, or into a file, in a form; with `--output json` Markdown, too, comes as JSON."""
    if form == "json" or (context.is_json and form == "md"):
        document = json.loads(rendered(connection, request, "json"))
        _deliver(_as_json(document, indent=None if context.is_json else 2) + "\n", out)
    elif form == "md" and out is None:
        request.format = run_service_pb2.Report.FORMAT_MD
        _show_report(context, _report(connection, request).body)
    else:
        _deliver(rendered(connection, request, form), out)


def rendered(connection: Connection, request: run_service_pb2.GetReportRequest, form: str) -> str:
    """Returns a run's report in a form, by its name here; the request may hold further wishes."""
    request.format = run_service_pb2.Report.Format.Value(f"FORMAT_{form.upper()}")
    return _report(connection, request).body


def _deliver(text: str, out: Path | None) -> None:
    if out is None:
        put(text, end="")
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {out}: {error.strerror}", code=1) from error


def print_report(context: Context, connection: Connection, run: str) -> None:
    """Prints a run's report on stdout; a terminal gets its brief form: all of it would push the result off the screen."""
    request = run_service_pb2.GetReportRequest(name=run, format=run_service_pb2.Report.FORMAT_MD)
    markdown = _report(connection, request).body
    _show_report(context, brief(markdown) if sys.stdout.isatty() else markdown)


def _show_report(context: Context, markdown: str) -> None:
    """Prints Markdown: rendered for a person's terminal, as it is elsewhere and with `--output plain`."""
    if not sys.stdout.isatty() or context.output == "plain" or not is_utf8(sys.stdout):
        put(markdown)
        return
    from conductor.cli.views.markdown import show_markdown

    show_markdown(markdown)


def _as_json(document: object, indent: int | None) -> str:
    """Returns a document as people read JSON, with keys in a fixed order."""
    return safe_json(json.dumps(document, indent=indent, sort_keys=True, ensure_ascii=not is_utf8(sys.stdout)))


def _report(connection: Connection, request: run_service_pb2.GetReportRequest) -> run_service_pb2.Report:
    answer: run_service_pb2.Report = connection.runs.GetReport(request, timeout=RENDER_SECONDS)
    return answer


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("step", metavar="STEP")
@click.option("--channel", type=click.Choice(CHANNELS), default="answer", show_default=True)
@click.option("--attempt", default="", help="Id of an attempt; the newest otherwise.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Where to begin, in bytes.")
@click.option("--follow", is_flag=True, help="Go on until the attempt ends.")
@click.pass_obj
def output(context: Context, /, name: str, step: str, *, follow: bool, **options: object) -> None:
    """Print what the agent of STEP said, by bytes, at any time."""
    with connected(context.address) as connection:
        find = partial(step_name, connection, name, step)
        absence = Absence(partial(say_away, context.address), say_back)
        request = run_service_pb2.ReadOutputRequest(
            name=patiently(find, absence) if follow else find(),
            attempt=str(options["attempt"]),
            channel=run_service_pb2.Output.Channel.Value(f"CHANNEL_{str(options['channel']).upper()}"),
            offset=int(str(options["offset"])),
        )
        begin = request.offset
        complete = print_output(context, connection, request, follow=follow)
        if request.offset == begin and not context.is_json:
            _say_where_else(connection, request, is_complete=complete)


def print_output(
    context: Context, connection: Connection, request: run_service_pb2.ReadOutputRequest, *, follow: bool
) -> bool:
    """Prints what is there, or all until the end; moves the request behind it; returns whether the attempt has ended."""
    try:
        if follow:
            return _print_to_end(context, connection, request)
        return _print_what_is_there(context, connection, request)
    except grpc.RpcError as error:
        if not is_away(error):
            raise
        raise _with_next_command(error, context, request) from error


def _print_to_end(context: Context, connection: Connection, request: run_service_pb2.ReadOutputRequest) -> bool:
    """Prints one attempt until it ends, across restarts of the conductor; returns True."""
    absence = Absence(partial(say_away, context.address), say_back)

    def go_on() -> bool:
        if not request.attempt:
            # An offset means bytes of this attempt, not of one that may follow it meanwhile.
            asked = run_service_pb2.GetStepRequest(name=request.name)
            attempts = connection.runs.GetStep(asked, timeout=CALL_SECONDS).attempts
            request.attempt = attempts[-1].id if attempts else ""
        return _print_what_is_there(context, connection, request)

    while not patiently(go_on, absence):
        time.sleep(FOLLOW_SECONDS)
    return True


def _with_next_command(
    error: grpc.RpcError, context: Context, request: run_service_pb2.ReadOutputRequest
) -> CommandError:
    """Adds to a lost connection the command that continues after what was printed."""
    shown = from_rpc(error, context.address)
    _, run, _, step = request.name.split("/")
    channel = run_service_pb2.Output.Channel.Name(request.channel).removeprefix("CHANNEL_").lower()
    which = f" --attempt {request.attempt}" if request.attempt else ""
    way_on = f"then go on:  conductor output {run} {step} --channel {channel}{which} --offset {request.offset}"
    return CommandError(str(shown), lines=(*shown.lines, way_on), code=shown.code)


def _say_where_else(connection: Connection, request: run_service_pb2.ReadOutputRequest, *, is_complete: bool) -> None:
    """Says that there is nothing, and where there is something."""
    channels = run_service_pb2.Output.Channel
    name = channels.Name(request.channel).removeprefix("CHANNEL_").lower()
    behind = f" behind byte {request.offset}" if request.offset else ""
    say(f"{'nothing was said' if is_complete else 'nothing was said so far'}: channel {name}{behind}", err=True)
    _, run, _, step = request.name.split("/")
    which = f" --attempt {request.attempt}" if request.attempt else ""
    if request.offset and _has_text(connection, request, name):
        say_next(f"what stands before:  conductor output {run} {step} --channel {name}{which}", err=True)
    for other in CHANNELS:
        if other != name and _has_text(connection, request, other):
            say_next(f"on channel {other}:  conductor output {run} {step} --channel {other}{which}", err=True)
    asked = run_service_pb2.GetStepRequest(name=request.name)
    shown = connection.runs.GetStep(asked, timeout=CALL_SECONDS)
    if not shown.attempts and shown.text:
        say_next(f"no agent worked on it; its answer:  conductor show {run} {step}", err=True)


def _has_text(connection: Connection, request: run_service_pb2.ReadOutputRequest, channel: str) -> bool:
    look = run_service_pb2.ReadOutputRequest(name=request.name, attempt=request.attempt, limit=LOOK_BYTES)
    look.channel = run_service_pb2.Output.Channel.Value(f"CHANNEL_{channel.upper()}")
    return any(piece.total_bytes for piece in connection.runs.ReadOutput(look, timeout=CALL_SECONDS))


def _print_what_is_there(context: Context, connection: Connection, request: run_service_pb2.ReadOutputRequest) -> bool:
    """Prints what is there and moves the request behind it; returns whether the attempt has ended."""
    complete = False
    for piece in connection.runs.ReadOutput(request, timeout=CALL_SECONDS):
        if context.is_json:
            from google.protobuf import json_format

            put(json_format.MessageToJson(piece, indent=None))
        else:
            # A file or a pipe gets the text as it is; a terminal gets nothing that could act on it.
            put(piece.text, end="")
        if piece.text and piece.offset < request.offset:
            raise CommandError("the server went back in the output", code=1)
        request.offset = piece.offset + len(piece.text.encode())
        complete = piece.complete
    sys.stdout.flush()
    return complete
