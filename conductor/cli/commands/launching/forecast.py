"""Says before a run what it will take and where the code goes, and refuses it where that is more than was allowed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import grpc

from conductor.cli.commands.launching.plan import ask_plan, list_unplaced, where
from conductor.cli.commands.launching.sent import Sender
from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.names import short
from conductor.cli.text.scopes import place_of
from conductor.cli.text.wording import counted, elapsed
from conductor.v1 import run_service_pb2
from servicekit.printing.page import say
from servicekit.printing.terminal_text import one_line

Run = run_service_pb2.Run
Step = run_service_pb2.Step
Plan = run_service_pb2.PlanRunResponse
_FAULTY_SPEC = re.compile(r"but: (/[^:\n]{1,300}\.toml): ")


def foresee(
    context: Context,
    connection: Connection,
    request: run_service_pb2.CreateRunRequest,
    flow: str,
    sender: Sender,
    *,
    options: Mapping[str, Any],
    is_passing: bool,
) -> None:
    """Prints a forecast of the run; with --local-only it binds the request to that plan.

    A request that cannot be planned is left to CreateRun, which may know its request id. `is_passing`: the conductor ends with this
    command, so that no host can come for a step that has none.
    """
    from conductor.cli.commands.run import refused_for

    is_bound = options["local_only"] or options["max_tokens"]
    try:
        with refused_for(context, request, flow):
            planned = sender.ask(lambda: ask_plan(connection, request), request)
    except CommandError:
        if is_bound:
            raise
        return
    if options["local_only"]:
        _refuse_leaving(planned)
        request.plan_hash = request.plan_hash or planned.plan_hash
    if options["max_tokens"] and planned.prompt_tokens > options["max_tokens"]:
        told = f"--max-tokens {options['max_tokens']}: the prompts alone have about {planned.prompt_tokens} tokens"
        raise CommandError(f"{told}; nothing was started", lines=("see the steps:  conductor plan FLOW PATH",))
    if is_passing:
        refuse_unplaced(planned)
        for line in gate_lines(planned):
            say(line, 2, err=True)
    last = _last_like(connection, planned.run)
    say(forecast_line(planned, last), 2, err=True)


def _refuse_leaving(planned: Plan) -> None:
    if planned.leaves_machine or list_unplaced(planned):
        told = f"--local-only: the code {where(planned)}; nothing was started"
        raise CommandError(told, lines=("see where agents and models are:  conductor hosts",))


def refuse_unplaced(planned: Plan) -> None:
    """Raises a CommandError for steps that would wait for an agent until their clock runs out."""
    for step in list_unplaced(planned):
        # A spec of the caller's own begins its reason with its file: no model would help there.
        lines: tuple[str, ...] = (
            "a model for it:  conductor run … --ephemeral --model URL, or CONDUCTOR_MODEL",
            "without one:     the flow survey",
        )
        if spec := _FAULTY_SPEC.search(step.wait.text):
            lines = (f"what is wrong:  agenthost agents check {one_line(spec[1], 300)}",)
        raise CommandError(f"step {short(step.name)} has no place: {one_line(step.wait.text, 300)}", lines=lines)


def gate_lines(planned: Plan) -> Iterator[str]:
    """Yields a line where the run asks a person whom a conductor that ends with its command leaves no time."""
    asking = [one for one in planned.run.steps if one.kind == Step.KIND_GATE and one.state != Step.STATE_EXCLUDED]
    if asking:
        named = ", ".join(short(one.name) for one in asking)
        yield f"a person is asked at {named}, and has no time with --ephemeral: the run is cancelled there, with exit code 3"


def _last_like(connection: Connection, run: Run) -> Run | None:
    """Returns the newest run of the same flow over the same workspace that succeeded."""
    asked = run_service_pb2.ListRunsRequest(
        page_size=1, flow=run.flow, workspace_path=place_of(run.workspace), states=[Run.STATE_SUCCEEDED]
    )
    try:
        found = connection.runs.ListRuns(asked, timeout=CALL_SECONDS).runs
    except grpc.RpcError:
        return None
    return found[0] if found and found[0].band == run.band else None


def forecast_line(planned: Plan, last: Run | None) -> str:
    """Returns `at least 5 requests, about 1200 tokens in prompts; the code stays on this machine; 2 min 05 s the last time`."""
    return "; ".join(_parts(planned, last))


def _parts(planned: Plan, last: Run | None) -> Iterator[str]:
    if any(step.placement.model for step in planned.steps):
        yield _effort(planned)
    elif planned.steps and not list_unplaced(planned):
        yield "no model is asked"
    if planned.steps:
        yield f"the code {where(planned)}"
    if last is not None:
        seconds = (last.end_time.ToNanoseconds() - last.create_time.ToNanoseconds()) / 1e9
        yield f"{elapsed(seconds)} the last time"


def _effort(planned: Plan) -> str:
    """Returns how many requests a run makes, and how many tokens their prompts have, as far as that is known."""
    unknown = sum(not step.HasField("prompt_tokens") for step in planned.steps)
    requests = f"at least {counted(planned.requests, 'request')}"
    if planned.most_requests > planned.requests:
        most = f"{requests}, at most {planned.most_requests}"
        requests = most if planned.requests else f"up to {counted(planned.most_requests, 'request')}"
    elif not planned.requests:
        requests = "as many requests as the run finds work for"
    if unknown and not planned.prompt_tokens:
        return f"{requests}; their tokens are not known before the run"
    later = f" and {counted(unknown, 'prompt')} not known yet" if unknown else ""
    return f"{requests}, about {planned.prompt_tokens} tokens in prompts{later}"
