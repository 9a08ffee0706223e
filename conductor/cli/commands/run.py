"""`conductor run` and `conductor watch`: follow a run to its end, then show its report and the next command."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import grpc

from conductor.cli.commands.judging.limits import RunLimits, finite, limits_of
from conductor.cli.commands.judging.policy import Policy, policy_of, policy_options
from conductor.cli.commands.launching.options import request_options
from conductor.cli.commands.reading import FORMS, print_form, print_report
from conductor.cli.connection import CALL_SECONDS, CREATE_SECONDS, Connection, connected
from conductor.cli.local_services import service_options
from conductor.cli.main import Context
from conductor.cli.text.failure import CANCELLED, INTERRUPTED, RUN_FAILED, TIMED_OUT, CommandError, from_rpc
from conductor.cli.text.following import say_next
from conductor.cli.text.names import run_name, short
from conductor.cli.text.next_commands import next_commands
from conductor.cli.text.scopes import place_of
from conductor.cli.text.wording import SETTLED_RUN, workspace_changes
from conductor.cli.views.follow import Absence, followed, patiently
from conductor.cli.views.lines import finding_line, summary
from conductor.cli.views.view import JsonView, View, as_json, say_away, say_back
from conductor.v1 import run_service_pb2
from servicekit.printing.output_lost import OutputLostError, verdict
from servicekit.printing.page import put, say
from servicekit.printing.terminal_text import printable
from servicekit.statuses import read_refusal

if TYPE_CHECKING:
    from conductor.cli.commands.judging.judgement import Judgement

Run = run_service_pb2.Run
# A longer wait is announced.
QUIET_SECONDS = 1.0
# Findings that are shown again below a report on a terminal.
WORST_FINDINGS = 5
LISTED_FINDINGS = 500
_CLOCKS = frozenset({"RUN_TIMEOUT", "QUEUE_TIMEOUT", "STEP_TIMEOUT", "IDLE_TIMEOUT", "FIRST_OUTPUT_TIMEOUT"})


@dataclass(frozen=True, slots=True)
class Ending:
    """Says how to show and judge a run at its end.

    `is_passing`: the conductor ends with this command, so that there is nothing to come back to. `form`: the report's format
    on stdout; empty for what suits the terminal. `advice`: lines in place of the commands to type next.
    """

    is_passing: bool = False
    form: str = ""
    policy: Policy | None = None
    advice: Sequence[str] = ()
    limits: RunLimits | None = None


@click.command()
@request_options
@click.option("--plan-hash", default="", help="Start only while the plan is the one that `conductor plan` showed.")
@click.option(
    "--local-only", is_flag=True, help="Refuse where a host or a model on another machine would get the code."
)
@click.option(
    "--max-minutes",
    type=click.FloatRange(0, min_open=True),
    callback=finite,
    help="Cancel the run where it takes longer.",
)
@click.option(
    "--max-tokens", type=click.IntRange(1), help="Cancel the run where its agents use more, as far as they tell."
)
@click.option("--request-id", help="A UUID: the same one never starts two runs.")
@click.option("--detach", is_flag=True, help="Print the run's name and leave.")
@click.option("--format", "form", type=click.Choice(FORMS), help="Print the report in this format, and nothing else.")
@policy_options
@click.option("--ephemeral", is_flag=True, help="Start a conductor and a host for this run, and stop them at its end.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="With --ephemeral: keep the data here, as `conductor up --data` does.  [default: a temporary folder]",
)
@service_options
@click.pass_obj
def run(context: Context, /, flow: str, path: Path | str, *, detach: bool, ephemeral: bool, **options: Any) -> int:
    """Start FLOW over PATH (this directory by default), follow it, and show its report.

    A URL, https://HOST/REPOSITORY, is fetched by the conductor, where its operator allows the host.

    With --fail-on or --ephemeral the exit code is 0 where the run is complete and found nothing that counts, 5 where it did,
    and 6 where a part of it was not judged.
    """
    from conductor.cli.commands.judging.ephemeral import kept_where, private_conductor, refuse_stray

    if isinstance(path, str) and (ephemeral or options["baseline"]):
        raise CommandError("--ephemeral and --baseline need a directory: clone the repository first")
    policy = policy_of(options, Path(path), is_always=ephemeral)
    if detach and (ephemeral or policy or options["form"] or options["max_minutes"]):
        told = "--detach leaves before the run ends: it goes with no --ephemeral, --fail-on, --format and --max-minutes"
        raise CommandError(told)
    if not ephemeral:
        refuse_stray(options)
        return _started(context, flow, path, options, Ending(form=options["form"] or "", policy=policy), detach=detach)
    with private_conductor(context, flow, options) as private:
        ending = Ending(is_passing=True, form=options["form"] or "", policy=policy, advice=kept_where(options))
        return _started(private, flow, path, options, ending)


def _started(
    context: Context, flow: str, path: Path | str, options: dict[str, Any], ending: Ending, *, detach: bool = False
) -> int:
    """Creates the run that the options ask for, and follows it."""
    from conductor.cli.commands.launching.forecast import foresee
    from conductor.cli.commands.launching.sent import Sender
    from conductor.cli.commands.requests import create_request, flow_of

    with connected(context.address) as connection:
        request = create_request(flow, path, options, flow_of(connection))
        sender = Sender(context, connection, options)
        sender.send_elsewhere(request)
        foresee(context, connection, request, flow, sender, options=options, is_passing=ending.is_passing)
        with refused_for(context, request, flow, is_passing=ending.is_passing):
            created = sender.ask(lambda: create(connection, request), request)
        if detach:
            return leave(context, created)
        limits = limits_of(options, may_pause=not ending.is_passing)
        return follow_to_end(context, connection, created.name, ending=replace(ending, limits=limits))


def leave(context: Context, created: Run) -> int:
    """Prints the name of a run that goes on without this command."""
    put(as_json(created) if context.is_json else created.name)
    say_next(f"follow it:  conductor watch {short(created.name)}", err=True)
    return 0


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--token", default="", help="Go on after the message that carried this resume token.")
@click.pass_obj
def watch(context: Context, name: str, token: str) -> int:
    """Follow RUN from its beginning, or from a token, to its end."""
    with connected(context.address) as connection:
        absence = Absence(partial(say_away, context.address), say_back)
        full = patiently(lambda: run_name(connection, name), absence)
        return follow_to_end(context, connection, full, token=token)


def create_from(
    context: Context, connection: Connection, request: run_service_pb2.CreateRunRequest, *, flow: str, is_passing: bool
) -> Run:
    """Asks for the run of a flow that a person named; a refusal of a file's flow names the file."""
    with refused_for(context, request, flow, is_passing=is_passing):
        return create(connection, request)


@contextlib.contextmanager
def refused_for(
    context: Context, request: run_service_pb2.CreateRunRequest, flow: str, *, is_passing: bool = False
) -> Iterator[None]:
    """Turns the refusal of a run into the CommandError to show."""
    try:
        yield
    except grpc.RpcError as error:
        from conductor.cli.commands.launching.refusal import in_options, with_file

        shown = in_options(from_rpc(error, context.address, CREATE_SECONDS, is_passing=is_passing), request)
        if not request.HasField("inline"):
            is_unknown = read_refusal(error).reason == "FLOW_NOT_FOUND"
            raise with_file(shown, flow, request.workspace.path) if is_unknown else shown from error
        from conductor.cli.commands.flows import refused

        raise refused(shown, Path(flow)) from error


def create(connection: Connection, request: run_service_pb2.CreateRunRequest) -> Run:
    """Creates the run; says so while the conductor reads a large workspace."""
    created: Run = patient_answer(connection.runs.CreateRun, request, request.workspace)
    return created


def patient_answer(method: Any, request: object, workspace: run_service_pb2.Workspace) -> Any:
    """Returns the answer of a call that pins a workspace; says so while the conductor reads a large one."""
    call = method.future(request, timeout=CREATE_SECONDS)
    try:
        try:
            return call.result(timeout=QUIET_SECONDS)
        except grpc.FutureTimeoutError:
            say(f"{'fetching' if workspace.url else 'reading'} {printable(place_of(workspace))} …", err=True)
            return call.result()
    finally:
        call.cancel()


def follow_to_end(
    context: Context, connection: Connection, name: str, *, token: str = "", ending: Ending = Ending()
) -> int:
    """Shows a run until it ends, then its report; returns the exit code that its end means."""
    ended = _followed(context, connection, name, token, ending)
    code, judged = exit_code(ended), None
    if code == CANCELLED and ending.limits is not None and ending.limits.is_out_of_time:
        code = TIMED_OUT
    if ending.policy is not None:
        from conductor.cli.commands.judging.judgement import judge

        judged = judge(connection, ended, ending.policy)
        code = code or judged.code
    with verdict(code):
        if ending.form or not context.is_json:
            _show_end(context, connection, ended, ending, judged)
    return code


def _followed(context: Context, connection: Connection, name: str, token: str, ending: Ending) -> Run:
    """Shows a run until it ends; returns it."""
    ended = Run()
    try:
        with _view_for(context, ending) as view:
            away = partial(view.away, context.address)
            for told in followed(connection, name, token, on_away=away, on_back=view.back, on_silence=view.silent):
                view.show(told)
                if ending.limits is not None and ending.limits.note(told):
                    ending.limits.cancel(connection, name)
                if told.HasField("run"):
                    ended = told.run
    except KeyboardInterrupt:
        if ending.is_passing:
            raise CommandError("stopped", code=INTERRUPTED) from None
        run_id = short(name)
        lines = (f"come back:  conductor watch {run_id}", f"stop it:    conductor cancel {run_id}")
        raise CommandError("left the run; it goes on", lines=lines, code=INTERRUPTED) from None
    except OutputLostError:
        if not ending.is_passing:
            _say_it_goes_on(name)
        raise
    if ended.state not in SETTLED_RUN:
        raise CommandError("the stream ended before the run did", lines=(f"conductor watch {short(name)}",))
    return ended


def _say_it_goes_on(name: str) -> None:
    """Says so where only the reader of stdout left."""
    with contextlib.suppress(OutputLostError):
        say_next(
            f"conductor: the output cannot be written; the run goes on\n  come back:  conductor watch {short(name)}",
            err=True,
        )


def _view_for(context: Context, ending: Ending) -> View:
    """Returns the view for where stderr goes and what was asked for."""
    if context.is_json and not ending.form:
        return JsonView()
    if context.is_live:
        from conductor.cli.views.live import LiveView

        return LiveView("stops it" if ending.is_passing else "leaves it running")
    from conductor.cli.views.plain import PlainView

    return PlainView()


def _show_end(context: Context, connection: Connection, ended: Run, ending: Ending, judged: "Judgement | None") -> None:
    is_read = sys.stdout.isatty()
    if not is_read:
        say(f"\n{closing(ended)}", 4, err=True)
        sys.stderr.flush()
    if ending.form:
        request = run_service_pb2.GetReportRequest(name=ended.name)
        if ending.policy is not None and judged is not None:
            ending.policy.ask(request, judged.dismissed)
        print_form(context, connection, request, ending.form)
    else:
        print_report(context, connection, ended.name)
    if is_read:
        # A report is longer than a screen: the reader's eye shall end on the result.
        say(f"\n{closing(ended)}", 4, err=True)
        if judged is None:
            _show_worst_findings(connection, ended)
    if judged is not None and ended.state == Run.STATE_SUCCEEDED:
        say("\n".join(["", *judged.lines]), 4, err=True)
    is_whole = bool(ending.form) or not is_read
    say("\n".join(["", *(ending.advice or next_commands(ended, is_report_whole=is_whole))]), err=True)


def _show_worst_findings(connection: Connection, ended: Run) -> None:
    request = run_service_pb2.ListFindingsRequest(parent=ended.name, page_size=LISTED_FINDINGS)
    listed = connection.runs.ListFindings(request, timeout=CALL_SECONDS)
    ranked = sorted(listed.findings, key=importance)
    for finding in ranked[:WORST_FINDINGS]:
        say(f"  {finding_line(finding)}", 4, err=True)
    if listed.next_page_token or len(ranked) > WORST_FINDINGS:
        say("  …", err=True)


def importance(finding: run_service_pb2.Finding) -> tuple[bool, int, int]:
    """Returns a key that sorts findings as reports do: what was refuted or stands nowhere is last, however severe it is.

    Those of a sub-run that no step merged have no rank.
    """
    missing, refuted = run_service_pb2.Evidence.STATUS_MISSING, run_service_pb2.Finding.VERDICT_REFUTED
    is_last = finding.status == missing or finding.verdict == refuted
    return is_last, -finding.severity, finding.rank


def closing(ended: Run) -> str:
    """Returns how a run ended, and which paths of its workspace changed since it was pinned."""
    changed = workspace_changes(ended.workspace_changes)
    return f"{summary(ended)}\n  changed: {changed}" if changed else summary(ended)


def exit_code(ended: Run) -> int:
    """Returns 0 for succeeded, 1 for failed, 3 for cancelled, 4 for a run or step out of time."""
    if ended.state == Run.STATE_SUCCEEDED:
        return 0
    if ended.state == Run.STATE_CANCELLED:
        return CANCELLED
    return TIMED_OUT if ended.failure.reason in _CLOCKS else RUN_FAILED
