"""The view outside a terminal: a line on stderr for every change and for every line that an agent says."""

from conductor.cli.text.following import completed
from conductor.cli.text.gates import first_commands
from conductor.cli.text.names import short
from conductor.cli.text.wording import disconnected, repair, run_state
from conductor.cli.views.lines import finding_line, step_line
from conductor.cli.views.news import (
    FindingMade,
    HostAway,
    HostBack,
    News,
    Newsfeed,
    Preparing,
    RepairAsked,
    RunChanged,
    StepChanged,
)
from conductor.cli.views.view import LineView
from conductor.v1.run_service_pb2 import Output, Pause, Run, WatchRunResponse
from servicekit.printing.page import say
from servicekit.printing.terminal_text import printable

# Characters of one line that an agent says.
LONGEST_LINE = 500
# Steps that one line names; the others are counted.
SHOWN_STEPS = 3


class PlainView(LineView):
    """Prints lines that scroll."""

    def __init__(self) -> None:
        self._feed = Newsfeed()
        # What each step said since its last line end, by step and channel.
        self._unfinished: dict[tuple[str, int], str] = {}

    def show(self, message: WatchRunResponse) -> None:
        """Prints what is worth a line."""
        news = self._feed.take(message)
        if self._feed.changed is not None:
            self._finish(self._feed.changed.step.name)
        for one in news:
            if isinstance(one, RepairAsked):
                self._finish(one.row.step.name)
            say(_line(one, self._feed.view.now), err=True)
        if message.HasField("output") and message.output.channel != Output.CHANNEL_ACTIVITY:
            self._say(message.output)
        elif message.HasField("log"):
            say(f"  {printable(message.log.text)}", err=True)

    def _say(self, output: Output) -> None:
        """Prints whole lines; the rest waits for its end, up to the longest width that is readable as one line."""
        key = (output.step, output.channel)
        *lines, rest = (self._unfinished.get(key, "") + output.text).split("\n")
        while len(rest) > LONGEST_LINE:
            lines.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        self._unfinished[key] = rest
        for line in lines:
            self._print_output(output.step, line)

    def _finish(self, step: str) -> None:
        """Ends the line that a step was saying before its state changed."""
        for key in [key for key in self._unfinished if key[0] == step]:
            self._print_output(step, self._unfinished.pop(key))

    def _print_output(self, step: str, line: str) -> None:
        text = printable(line).strip()
        if text:
            say(f"  {self._feed.view.rows[step].label} │ {text}", err=True)


def _line(news: News, now: float) -> str:
    match news:
        case RunChanged(run):
            return f"run {run.name} {run_state(run.state)}{_held(run)}"
        case StepChanged(row):
            return "\n    ".join((step_line(row, now), *(first_commands(row.gate) if row.gate is not None else ())))
        case FindingMade(row) | RepairAsked(row):
            told = finding_line(news.finding) if isinstance(news, FindingMade) else repair(row.step.repair)
            return f"  {row.label} ▸ {told}"
        case Preparing(host, labels):
            others = [f"{len(labels) - SHOWN_STEPS} more"] if len(labels) > SHOWN_STEPS else []
            return f"… {host} gets snapshot and sandbox ready for {', '.join([*labels[:SHOWN_STEPS], *others])}"
        case HostAway(absence):
            rest = "" if absence.other_instance else "; what runs there goes on"
            return f"… {disconnected(absence, now)}{rest}"
        case HostBack(host):
            return f"… {short(host)} is back, or nothing runs there any more"


def _held(run: Run) -> str:
    """Says what lets a run go on that an operator holds."""
    if run.pause.cause != Pause.CAUSE_OPERATOR:
        return ""
    return completed(f"; let it go on:  conductor resume {short(run.name)}")
