"""Three ways to show a run as it goes: live lines on a terminal, a line an event, or JSON.

Progress goes to stderr, so that stdout holds data only: the JSON events, or the report that follows.
"""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from conductor.cli.main import Context
from conductor.cli.text.names import short
from conductor.cli.text.terminal_text import one_line, printable
from conductor.cli.text.wording import (
    disconnected,
    elapsed,
    failure,
    findings,
    nobody_answers,
    run_look,
    run_state,
    said_nothing,
    step_look,
    step_state,
    tokens,
)
from conductor.cli.views.follow import PATIENCE_SECONDS
from conductor.cli.views.run_state import RunView, StepRow
from conductor.v1 import run_service_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

FAILED_STEP_LINES = 8
# Characters of one line of an agent's, in the plain view.
LONGEST_LINE = 500
# Characters of what a step waits for.
LONGEST_WAIT = 400
# Most attempts begin sooner than this; of the others it is said what they wait for.
QUIET_PREPARATION_SECONDS = 1.0
# Most hosts are back sooner than this, as after a restart of the conductor; of the others it is said that they are away.
QUIET_ABSENCE_SECONDS = 1.0
PREPARES = "waits for snapshot and sandbox"
# Steps that one line names; the others are counted.
SHOWN_STEPS = 3


class View(Protocol):
    """Shows messages of WatchRun as they come."""

    def __enter__(self) -> Self:
        """Begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends, leaving the terminal as it was."""

    def show(self, told: run_service_pb2.WatchRunResponse) -> None:
        """Shows one message."""

    def away(self, address: str) -> None:
        """Says that no conductor answers at the address."""

    def silent(self, seconds: float) -> None:
        """Says that the conductor has said nothing for so long; called from another thread."""

    def back(self) -> None:
        """Says that it is back, or speaks again."""


class JsonView:
    """One proto-JSON object a line on stdout."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()

    def show(self, told: run_service_pb2.WatchRunResponse) -> None:
        """Prints the message."""
        click.echo(as_json(told))

    def away(self, address: str) -> None:
        """Says so on stderr: a program on stdout only sees the position go on."""
        say_away(address)

    def silent(self, seconds: float) -> None:
        """Says so."""
        click.echo(f"… {said_nothing(seconds)}", err=True)

    def back(self) -> None:
        """Says so."""
        say_back()


class PlainView:
    """A line for every change and for every line that an agent says, on stderr."""

    def __init__(self) -> None:
        self._view = RunView()
        # What each step said since its last line end, by step and channel.
        self._unfinished: dict[tuple[str, int], str] = {}
        self._away: set[tuple[str, bool]] = set()
        # What some step waits for, and a line said already: two hundred that wait for a slot are one line.
        self._told_waits: set[str] = set()
        self._told_preparations: set[str] = set()
        # A fold tells the findings that it merges again.
        self._told_findings: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stderr.flush()

    def show(self, told: run_service_pb2.WatchRunResponse) -> None:
        """Prints what is worth a line."""
        before = self._view.run.state
        if told.HasField("progress"):
            self._tell_disconnections(told.progress, told.time.ToNanoseconds() / 1e9)
        row = self._view.apply(told)
        if told.HasField("run") and before != told.run.state:
            click.echo(f"run {told.run.name} {run_state(told.run.state)}", err=True)
        if row is not None:
            self._finish(row.step.name)
            self._tell_step(row)
        elif told.HasField("run"):
            for waiting in self._view.running:
                if waiting.wait:
                    self._tell_step(waiting)
        self._tell_news(told)

    def away(self, address: str) -> None:
        """Says so."""
        say_away(address)

    def silent(self, seconds: float) -> None:
        """Says so."""
        click.echo(f"… {said_nothing(seconds)}", err=True)

    def back(self) -> None:
        """Says so."""
        say_back()

    def _tell_news(self, told: run_service_pb2.WatchRunResponse) -> None:
        """Prints what is told beside the states."""
        match told.WhichOneof("message"):
            case "output" if told.output.channel != run_service_pb2.Output.CHANNEL_ACTIVITY:
                self._say(told.output)
            case "log":
                click.echo(f"  {printable(told.log.text)}", err=True)
            case "finding":
                self._tell_finding(told.finding)
            case "progress":
                self._tell_preparations()
            case _:
                pass

    def _tell_step(self, row: StepRow) -> None:
        """Prints what lasts, or makes people wait; a reason to wait once, while any step waits for it."""
        is_news = not row.wait or row.wait not in self._told_waits
        self._told_waits = {row.wait, *self._told_waits} & {one.wait for one in self._view.running if one.wait}
        running = row.step.state == run_service_pb2.Step.STATE_RUNNING
        if is_news and (row.is_settled or running or row.wait):
            click.echo(step_line(row, self._view.now), err=True)

    def _tell_finding(self, finding: run_service_pb2.Finding) -> None:
        line = finding_line(finding)
        if (finding.id, line) not in self._told_findings:
            self._told_findings.add((finding.id, line))
            click.echo(f"  {self._view.rows[finding.step].label} ▸ {line}", err=True)

    def _tell_preparations(self) -> None:
        """Says once of each attempt that was asked for a while ago, and does not run, what it waits for."""
        now = self._view.now
        slow = [row for row in self._view.running if row.prepared_for(now) > QUIET_PREPARATION_SECONDS]
        news = [row for row in slow if row.attempt.id not in self._told_preparations]
        for host in sorted({row.attempt.host for row in news}):
            labels = [row.label for row in news if row.attempt.host == host]
            others = [f"{len(labels) - SHOWN_STEPS} more"] if len(labels) > SHOWN_STEPS else []
            named = ", ".join([*labels[:SHOWN_STEPS], *others])
            click.echo(f"… {host} gets snapshot and sandbox ready for {named}", err=True)
        self._told_preparations = {row.attempt.id for row in slow}

    def _tell_disconnections(self, progress: run_service_pb2.Progress, now: float) -> None:
        # The reason belongs to it: a host that was away and comes back as another instance is told again.
        known = [one for one in progress.disconnections if self._is_worth_a_line(one, now)]
        away = {(one.host, one.other_instance) for one in known}
        for one in known:
            if (one.host, one.other_instance) not in self._away:
                rest = "" if one.other_instance else "; what runs there goes on"
                click.echo(f"… {disconnected(one, now)}{rest}", err=True)
        for host in sorted({host for host, _ in self._away} - {host for host, _ in away}):
            click.echo(f"… {short(host)} is back, or nothing runs there any more", err=True)
        self._away = away

    def _is_worth_a_line(self, one: run_service_pb2.Disconnection, now: float) -> bool:
        is_told = (one.host, one.other_instance) in self._away
        return is_told or now - one.disconnected_time.ToNanoseconds() / 1e9 >= QUIET_ABSENCE_SECONDS

    def _say(self, output: run_service_pb2.Output) -> None:
        """Prints whole lines; the rest waits for its end, up to a width that nobody reads as one line."""
        key = (output.step, output.channel)
        *lines, rest = (self._unfinished.get(key, "") + output.text).split("\n")
        while len(rest) > LONGEST_LINE:
            lines.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        self._unfinished[key] = rest
        for line in lines:
            self._print_said(output.step, line)

    def _finish(self, step: str) -> None:
        """A step that changes its state ends the line that it was saying."""
        for key in [key for key in self._unfinished if key[0] == step]:
            self._print_said(step, self._unfinished.pop(key))

    def _print_said(self, step: str, line: str) -> None:
        text = printable(line).strip()
        if text:
            click.echo(f"  {self._view.rows[step].label} │ {text}", err=True)


def step_line(row: StepRow, now: float) -> str:
    """`✔ risks  succeeded  host-a survey  1.2 s  3 findings, all verified`."""
    glyph, _ = step_look(row.step.state)
    parts = [f"{glyph} {row.label}", step_state(row.step.state), *step_facts(row, now)]
    return "  ".join(part for part in parts if part)


def step_facts(row: StepRow, now: float) -> list[str]:
    """Where a step runs, for how long, and how it went: the parts after its name. What a narrow line must not lose comes first."""
    step, attempt = row.step, row.attempt
    place = f"{attempt.agent} on {attempt.host}" if attempt.host else ""
    again = f"attempt {attempt.number}" if attempt.number > 1 else ""
    away = disconnected(row.away, now) if row.away is not None else ""
    facts = [away, place, again, elapsed(row.seconds(now)) if step.HasField("start_time") else "", tokens(attempt)]
    if step.state == run_service_pb2.Step.STATE_SUCCEEDED and step.HasField("finding_counts"):
        facts.append(findings(step.finding_counts))
    if row.prepared_for(now) > QUIET_PREPARATION_SECONDS:
        facts.append(PREPARES)
    if row.wait:
        facts.append(f"waits: {one_line(row.wait, LONGEST_WAIT)}")
    if step.HasField("failure"):
        facts.append(one_line(failure(step.failure), 200))
    elif step.reason:
        facts.append(one_line(step.reason, 200))
    return [fact for fact in facts if fact]


def finding_line(finding: run_service_pb2.Finding) -> str:
    """`high  Shell command from outside  src/run.py:12  verified`."""
    severity = run_service_pb2.Finding.Severity.Name(finding.severity).removeprefix("SEVERITY_").lower()
    status = run_service_pb2.Evidence.Status.Name(finding.status).removeprefix("STATUS_").lower()
    places = [f"{one_line(one.path, 80)}:{one.start_line}" for one in finding.evidence[:1]]
    return "  ".join([severity, one_line(finding.title, 120), *places, status])


def summary(run: run_service_pb2.Run) -> str:
    """One line about a run that has ended."""
    glyph, _ = run_look(run.state)
    seconds = (run.end_time.ToNanoseconds() - run.create_time.ToNanoseconds()) / 1e9
    line = f"{glyph} {run.flow.removeprefix('flows/')} {run_state(run.state)} in {elapsed(seconds)}: "
    line += findings(run.finding_counts)
    return f"{line}\n  {one_line(failure(run.failure), 300)}" if run.HasField("failure") else line


def as_json(message: "Message") -> str:
    """A message as proto-JSON on one line."""
    from google.protobuf import json_format

    return json_format.MessageToJson(message, indent=None)


def view_for(context: Context, on_interrupt: str) -> View:
    """The view that suits where stderr goes and what was asked for. `on_interrupt` tells what Ctrl-C does."""
    if context.is_json:
        return JsonView()
    if context.is_live:
        from conductor.cli.views.live import LiveView

        return LiveView(on_interrupt)
    return PlainView()


def say_away(address: str) -> None:
    """Says on stderr that no conductor answers, outside of a live view."""
    click.echo(f"… {nobody_answers(address, PATIENCE_SECONDS)}", err=True)


def say_back() -> None:
    """Says that it is back."""
    click.echo("… it is back", err=True)
