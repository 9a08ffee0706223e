"""`conductor retry` and `rerun`: run what failed of an ended run and keep the rest, or ask the same of today's tree."""

import uuid
from pathlib import Path

import click
import grpc

from conductor.cli.commands.launching.sent import Sender
from conductor.cli.commands.run import create, follow_to_end, leave
from conductor.cli.connection import CALL_SECONDS, CREATE_SECONDS, Connection, connected
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.names import run_name, short, step_name
from conductor.v1 import run_service_pb2
from servicekit.printing.page import say
from servicekit.printing.terminal_text import printable
from servicekit.statuses import read_refusal

SHOWN_STEPS = 12
_WITH_ITEMS = frozenset({run_service_pb2.Step.KIND_FOREACH, run_service_pb2.Step.KIND_LOOP})


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--step", metavar="STEP", help="This step runs again, and every step that depends on it.")
@click.option(
    "--failed", is_flag=True, help="What failed or was cancelled runs again, and what depends on it (default)."
)
@click.option("--all", "everything", is_flag=True, help="Every step runs again, over the same snapshot.")
@click.option("--request-id", help="A UUID: the same one never starts two runs.")
@click.option("--detach", is_flag=True, help="Print the new run's name and leave.")
@click.pass_obj
def retry(context: Context, /, name: str, *, detach: bool, **options: object) -> int:
    """Make a new run of RUN, which has ended, over the same snapshot: completed steps are kept."""
    if sum(map(bool, (options["step"], options["failed"], options["everything"]))) > 1:
        raise click.UsageError("--step, --failed and --all exclude each other")
    with connected(context.address) as connection:
        request = _request(connection, name, options)
        try:
            made = connection.runs.RetryRun(request, timeout=CREATE_SECONDS)
        except grpc.RpcError as error:
            if "failed" not in dict(read_refusal(error).violations):
                raise
            raise nothing_failed(short(request.name)) from error
        _say_kept(made, keeps_items=not options["everything"], named=short(request.step))
        return leave(context, made) if detach else follow_to_end(context, connection, made.name)


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--request-id", help="A UUID: the same one never starts two runs.")
@click.option("--detach", is_flag=True, help="Print the new run's name and leave.")
@click.pass_obj
def rerun(context: Context, /, name: str, request_id: str | None, *, detach: bool) -> int:
    """Ask the same as RUN again, of the present tree: the flow of that name, the inputs and the workspace.

    The agents that --agent chose are not kept with a run, so the new run asks those that the flow names.
    """
    with connected(context.address) as connection:
        named = run_service_pb2.GetRunRequest(name=run_name(connection, name, changes=True))
        earlier = connection.runs.GetRun(named, timeout=CALL_SECONDS)
        request = run_service_pb2.CreateRunRequest(
            flow=earlier.flow,
            inputs=earlier.inputs,
            workspace=earlier.workspace,
            labels=earlier.labels,
            priority=earlier.priority,
            title=earlier.title,
            request_id=request_id or str(uuid.uuid4()),
        )
        if request.workspace.snapshot:
            _send_again(context, connection, request, short(earlier.name))
        if not str(dict(earlier.inputs).get("question", "")).strip():
            # A run without a question holds an empty one, which no request may hold.
            request.inputs.fields.pop("question", None)
        try:
            made = create(connection, request)
        except grpc.RpcError as error:
            if read_refusal(error).reason != "FLOW_NOT_FOUND":
                raise
            told = f"the conductor has no {earlier.flow}: run {short(earlier.name)} was made of a file"
            raise CommandError(told, lines=("conductor run FILE PATH",)) from error
        changed = " (the flow changed since)" if made.flow_revision != earlier.flow_revision else ""
        say(f"asks again what {short(earlier.name)} asked, as {short(made.name)}{changed}", err=True)
        return leave(context, made) if detach else follow_to_end(context, connection, made.name)


def _send_again(
    context: Context, connection: Connection, request: run_service_pb2.CreateRunRequest, earlier: str
) -> None:
    """Sends the present tree of a workspace that was sent for the earlier run."""
    workspace = request.workspace
    if not Path(workspace.path).is_dir():
        told = f"run {earlier} was made of {printable(workspace.path)} on another machine, which is no directory here"
        raise CommandError(told, lines=("on that machine:  conductor run FLOW PATH",))
    workspace.snapshot = ""
    if workspace.scope == run_service_pb2.Workspace.SCOPE_UNCOMMITTED:
        workspace.base_revision = ""  # HEAD, whichever that is now
    Sender(context, connection, {"push": True}).send_elsewhere(request)


def nothing_failed(run: str) -> CommandError:
    """Returns the error for a run of which nothing failed, with what can run again."""
    lines = (f"a step again:  conductor retry {run} --step STEP", f"all again:     conductor retry {run} --all")
    return CommandError(f"no step of run {run} failed or was cancelled; name a step, or take all", lines=lines)


def _request(connection: Connection, name: str, options: dict[str, object]) -> run_service_pb2.RetryRunRequest:
    run = run_name(connection, name, changes=True)
    request = run_service_pb2.RetryRunRequest(name=run, request_id=str(options["request_id"] or uuid.uuid4()))
    if options["step"]:
        request.step = step_name(connection, run, str(options["step"]))
        if not request.step.startswith(f"{run}/"):
            _refuse_inner(run, str(options["step"]))
    elif options["everything"]:
        request.all = True
    else:
        request.failed = True
    return request


def _refuse_inner(run: str, path: str) -> None:
    told = f"--step {path} is a step of a sub-run, which runs again as a whole"
    raise CommandError(told, lines=(f"run it again:  conductor retry {short(run)} --step {path.partition('.')[0]}",))


def _say_kept(made: run_service_pb2.Run, *, keeps_items: bool, named: str) -> None:
    """Says on stderr which steps are kept, and which run again. `named` runs again with all its items."""
    kept = [short(step.name) for step in made.steps if step.reused_from]
    again = [
        f"{short(step.name)} (what is complete is kept)"
        if step.kind in _WITH_ITEMS and keeps_items and short(step.name) != named
        else short(step.name)
        for step in made.steps
        if not step.reused_from and step.state != run_service_pb2.Step.STATE_EXCLUDED
    ]
    say(f"retries {short(made.retry_of)} as {short(made.name)}", err=True)
    for what, steps in (("kept:", kept), ("again:", again)):
        if steps:
            more = f" and {len(steps) - SHOWN_STEPS} more" if len(steps) > SHOWN_STEPS else ""
            say(f"  {what:<6} {', '.join(steps[:SHOWN_STEPS])}{more}", err=True)
