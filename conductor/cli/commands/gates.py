"""`conductor gates`, `approve` and `reject`: what runs ask a person, and the decision."""

import getpass
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import click

from conductor.cli.connection import CALL_SECONDS, Connection, connected
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.following import say_next
from conductor.cli.text.gates import commands, decided, gate_line, gate_path, shown_lines
from conductor.cli.text.names import LAST, SHORTEST_PART, run_name, short, step_name
from conductor.cli.views.view import as_json
from conductor.v1 import gate_service_pb2
from conductor.v1.flow_service_pb2 import GateWork
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put, say

Gate = gate_service_pb2.Gate
EDIT_BYTES = 1024 * 1024


@click.command()
@click.argument("name", metavar="[RUN|GATE]", required=False)
@click.option("--whole", is_flag=True, help="Show all that each gate shows.")
@click.pass_obj
def gates(context: Context, name: str | None, *, whole: bool) -> None:
    """List the gates that wait for a decision, or all gates of RUN, or show one GATE."""
    with connected(context.address) as connection:
        found = _named(connection, name) if name else list(_listed(connection, ""))
    if context.is_json:
        for gate in found:
            say(as_json(gate))
        return
    for number, gate in enumerate(found):
        if number:
            say()
        say(gate_line(gate, time.time()), 2)
        for line in shown_lines(gate, whole=whole or len(found) == 1):
            say(f"    {line}", 4)
        if gate.state == Gate.STATE_PENDING:
            say("\n".join(f"  {line}" for line in commands(gate)), err=True)
    if not found:
        say("no gate waits for a decision" if not name else "this run has no gates", err=True)


@click.command()
@click.argument("name", metavar="GATE")
@click.option("--comment", default="", help="Why, for people.")
@click.option("--as", "resolver", default="", metavar="NAME", help="Who decides; your user name otherwise.")
@click.option("--edit", "text", metavar="TEXT", help="Go on with this text in place of what is shown.")
@click.option(
    "--edit-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The text is in a file."
)
@click.option("--retry", is_flag=True, help="Try the failed step again.")
@click.option("--skip", is_flag=True, help="Leave the step out.")
@click.pass_obj
def approve(context: Context, /, name: str, **options: object) -> None:
    """Let the work at GATE go on. GATE is RUN/GATE, or a part that only one waiting gate has: its run, its step."""
    chosen = [option for option in ("text", "edit_file", "retry", "skip") if options[option]]
    if len(chosen) > 1:
        raise CommandError("give at most one of --edit, --edit-file, --retry and --skip")
    decision = {"retry": GateWork.DECISION_RETRY, "skip": GateWork.DECISION_SKIP}.get(
        chosen[0] if chosen else "", GateWork.DECISION_EDIT if chosen else GateWork.DECISION_APPROVE
    )
    text = _read_text(options["edit_file"]) if isinstance(options["edit_file"], Path) else str(options["text"] or "")
    request = _request(decision, str(options["comment"]), str(options["resolver"]))
    request.text = text
    _decide(context, name, request)


@click.command()
@click.argument("name", metavar="GATE")
@click.option("--comment", default="", help="Why, for people.")
@click.option("--as", "resolver", default="", metavar="NAME", help="Who decides; your user name otherwise.")
@click.pass_obj
def reject(context: Context, name: str, comment: str, resolver: str) -> None:
    """Reject GATE: its step fails. GATE is RUN/GATE, or a part that only one waiting gate has: its run, its step."""
    _decide(context, name, _request(GateWork.DECISION_REJECT, comment, resolver))


def _request(
    decision: "GateWork.Decision.ValueType", comment: str, resolver: str
) -> gate_service_pb2.ResolveGateRequest:
    # Always with an id, so that a retry after a lost answer decides nothing twice.
    return gate_service_pb2.ResolveGateRequest(
        decision=decision, comment=comment, resolver=resolver or _user(), request_id=str(uuid.uuid4())
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return ""


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    if len(data) > EDIT_BYTES:
        raise CommandError(f"{path} has {len(data)} bytes; give at most {EDIT_BYTES}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 at byte {error.start}; give a text in UTF-8") from None


def _decide(context: Context, name: str, request: gate_service_pb2.ResolveGateRequest) -> None:
    with connected(context.address) as connection:
        found = _gate(connection, name)
        request.name, request.digest = found.name, found.digest
        gate = connection.gates.ResolveGate(request, timeout=CALL_SECONDS)
    with verdict(0):
        if context.is_json:
            put(as_json(gate))
            return
        say(f"{gate.name} {decided(gate)}")
        say_next(f"see it go on:  conductor watch {gate.name.split('/')[1]}", err=True)


def _listed(connection: Connection, parent: str) -> Iterator[Gate]:
    request = gate_service_pb2.ListGatesRequest(parent=parent)
    while True:
        page = connection.gates.ListGates(request, timeout=CALL_SECONDS)
        yield from page.gates
        request.page_token = page.next_page_token
        if not request.page_token:
            return


def _named(connection: Connection, given: str) -> list[Gate]:
    """Returns the gates of a run, or one gate."""
    if "/" in given.removeprefix("runs/"):
        return [_gate(connection, given)]
    if matching := [gate for gate in _listed(connection, "") if given in _own_parts(gate)]:
        return matching
    return list(_listed(connection, run_name(connection, given)))


def _gate(connection: Connection, given: str) -> Gate:
    """Returns the gate that is meant: by its run and its own name, or by a part that only one waiting gate has."""
    run, slash, gate = given.removeprefix("runs/").partition("/")
    if slash:
        gate = gate.removeprefix("gates/")
        full = run_name(connection, run, changes=True)
        if "." in gate and "/" not in gate:  # a path into a sub-run, perhaps
            full, gate = _inner(connection, full, gate)
        of_run = _listed(connection, full)
        matching = [one for one in of_run if gate in _own_parts(one)]
        # A step that was tried again has several, of which the last may wait.
        matching = [one for one in matching if short(one.name) == gate] or matching[-1:]
    else:
        pending = list(_listed(connection, ""))
        run = short(run_name(connection, LAST)) if given == LAST and pending else given.lower()
        matching = [one for one in pending if given in _own_parts(one) or _is_of_run(run, one)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        lines = (*(gate_path(one) for one in matching[:5]), "give RUN/GATE")
        raise CommandError(f"'{given}' means {len(matching)} gates", lines=lines)
    raise CommandError(f"there is no gate '{given}' that waits", lines=("see them:  conductor gates",))


def _inner(connection: Connection, run: str, path: str) -> tuple[str, str]:
    """Returns the run and the step that a path leads to; the path itself where it leads to none."""
    try:
        inner, _, step = step_name(connection, run, path).partition("/steps/")
    except CommandError:
        return run, path
    return inner, step


def _own_parts(gate: Gate) -> tuple[str, str]:
    return short(gate.name), short(gate.step)


def _is_of_run(part: str, gate: Gate) -> bool:
    run = gate.name.split("/")[1]
    return len(part) >= SHORTEST_PART and (run.startswith(part) or run.endswith(part))
