"""`conductor plan`: shows a run before it is made."""

from collections.abc import Iterator
from pathlib import Path

import click

from conductor.cli.commands.launching.options import request_options
from conductor.cli.commands.run import patient_answer, refused_for
from conductor.cli.connection import Connection, connected
from conductor.cli.main import Context
from conductor.cli.text.names import short
from conductor.cli.text.scopes import place_of, scope
from conductor.cli.text.wording import counted, step_look
from conductor.cli.views.view import as_json
from conductor.v1 import flow_service_pb2, run_service_pb2
from servicekit.printing.page import put, say
from servicekit.printing.terminal_text import one_line, printable

Step = run_service_pb2.Step
Planned = run_service_pb2.PlannedStep
SHOWN_STEPS = 12
_NO_HOST = frozenset({run_service_pb2.Wait.KIND_HOST, run_service_pb2.Wait.KIND_AGENT})


@click.command()
@request_options
@click.option("--prompts", is_flag=True, help="Print the prompts, too, as far as they are known before the run.")
@click.pass_obj
def plan(context: Context, /, flow: str, path: Path | str, *, prompts: bool, **options: object) -> None:
    """Show what `run` would do with the same arguments, and start nothing.

    `conductor run … --plan-hash HASH` starts a run only while its plan is this one.
    """
    from conductor.cli.commands.launching.sent import Sender
    from conductor.cli.commands.requests import create_request, flow_of

    with connected(context.address) as connection:
        request = create_request(flow, path, {**options, "request_id": None, "plan_hash": ""}, flow_of(connection))
        sender = Sender(context, connection, options)
        sender.send_elsewhere(request)
        with refused_for(context, request, flow):
            planned = sender.ask(lambda: ask_plan(connection, request), request)
    if context.is_json:
        put(as_json(planned))
        return
    for line in plan_lines(planned):
        say(line, 6)
    if prompts:
        for step in planned.steps:
            if step.prompt:
                put(f"\n--- {short(step.name)} ---\n{step.prompt.rstrip()}")


def ask_plan(connection: Connection, request: run_service_pb2.CreateRunRequest) -> run_service_pb2.PlanRunResponse:
    """Asks for the plan of a run; says so while the conductor reads a large workspace."""
    asked = run_service_pb2.PlanRunRequest(run=request)
    planned: run_service_pb2.PlanRunResponse = patient_answer(connection.runs.PlanRun, asked, request.workspace)
    return planned


def plan_lines(planned: run_service_pb2.PlanRunResponse) -> Iterator[str]:
    """Yields what a person should know before the run: its steps, what they take, and where the code goes."""
    run = planned.run
    asking = {short(step.name): step for step in planned.steps}
    yield f"{run.flow.removeprefix('flows/')} over {printable(place_of(run.workspace))} at {run.snapshot.commit[:12]}"
    if about := scope(run):
        yield f"  scope      {about}"
    band = flow_service_pb2.Band.Name(run.band).removeprefix("BAND_").lower()
    yield f"  band       {band}{f': {printable(run.band_reason)}' if run.band_reason else ''}"
    for step in run.steps:
        name = short(step.name)
        yield f"  {_step_line(step, asking.get(name))}"
        inner = (one for path, one in asking.items() if path.startswith(f"{name}."))
        yield from (f"    {_inner_line(one)}" for one in inner)
    yield f"  requests   {_requests(planned)}"
    yield f"  tokens     {_tokens(planned)}"
    yield f"  code       {where(planned)}"
    yield f"  plan hash  {planned.plan_hash}"


def _requests(planned: run_service_pb2.PlanRunResponse) -> str:
    if planned.most_requests <= planned.requests:
        if not planned.requests and any(not step.times for step in planned.steps):
            return f"one for each agent{_unlimited(planned)}"
        return f"at least {planned.requests}, one for each agent{_unlimited(planned)}"
    if not planned.requests:
        return f"up to {planned.most_requests}, one for each agent, with items and rounds"
    return f"at least {planned.requests}, one for each agent, at most {planned.most_requests} with items and rounds"


def _tokens(planned: run_service_pb2.PlanRunResponse) -> str:
    unknown = sum(not step.HasField("prompt_tokens") for step in planned.steps)
    if unknown and not planned.prompt_tokens:
        return "not known before the run"
    later = f"; {counted(unknown, 'prompt')} not known before the run" if unknown else ""
    return f"about {planned.prompt_tokens} in prompts (an estimate){later}"


def _step_line(step: Step, planned: Planned | None) -> str:
    name = short(step.name)
    if step.state == Step.STATE_EXCLUDED:
        return f"{step_look(step.state)[0]} {name}  excluded: {one_line(step.reason, 200)}"
    if planned is None:
        return f"· {name}  {Step.Kind.Name(step.kind).removeprefix('KIND_').lower()}"
    return _asking_line(name, planned)


def _asking_line(name: str, planned: Planned) -> str:
    if planned.HasField("wait"):
        return f"◌ {name}  would wait: {one_line(planned.wait.text, 160)}"
    place = planned.placement
    model = f", {printable(place.model)}" if place.model else ""
    tokens = f"  about {planned.prompt_tokens} tokens" if planned.HasField("prompt_tokens") else ""
    return f"· {name}  {printable(place.agent)} on {printable(place.host)}{model}{tokens}"


def _inner_line(planned: Planned) -> str:
    """Returns the line of a step that runs once for each item or round."""
    often = {0: "once for each item", 1: "once at most"}.get(planned.times, f"at most {planned.times} times")
    return f"{_asking_line(short(planned.name).rpartition('.')[2], planned)}  {often}"


def _unlimited(planned: run_service_pb2.PlanRunResponse) -> str:
    return "; how many items there are is known in the run" if any(not step.times for step in planned.steps) else ""


def where(planned: run_service_pb2.PlanRunResponse) -> str:
    """Says which machines could get the code, as far as connected hosts have the agents."""
    is_elsewhere = bool(planned.run.workspace.snapshot or planned.run.workspace.url)
    far = dict.fromkeys(printable(one.machine) for one in planned.destinations if one.leaves_machine)
    if far:
        machine = "the conductor's" if is_elsewhere else "this"
        return f"leaves {machine} machine, for {', '.join(far)}"
    if unplaced := [short(step.name) for step in list_unplaced(planned)]:
        more = f" and {len(unplaced) - SHOWN_STEPS} more" if len(unplaced) > SHOWN_STEPS else ""
        return f"may go anywhere: no connected host has the agents of {', '.join(unplaced[:SHOWN_STEPS])}{more}"
    return "stays on the conductor's machine" if is_elsewhere else "stays on this machine"


def list_unplaced(planned: run_service_pb2.PlanRunResponse) -> list[Planned]:
    """Returns the steps for which no connected host has an agent: nothing is known of where they will run."""
    return [step for step in planned.steps if step.wait.kind in _NO_HOST]
