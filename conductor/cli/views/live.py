"""The view for a terminal: a line a step; finished lines scroll up for good, running steps show what they say last."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from conductor.cli.text.following import completed
from conductor.cli.text.gates import asks, gate_path
from conductor.cli.text.names import short
from conductor.cli.text.scopes import place_of
from conductor.cli.text.wording import (
    counted,
    disconnected,
    elapsed,
    no_answer,
    run_state,
    said_nothing,
    step_look,
)
from conductor.cli.views.follow import PATIENCE_SECONDS
from conductor.cli.views.lines import step_facts
from conductor.cli.views.news import Newsfeed, StepChanged
from conductor.cli.views.run_state import StepRow
from conductor.v1 import run_service_pb2
from servicekit.printing.cells import abridged, cells, cut
from servicekit.printing.terminal_text import printable

REFRESHES_PER_SECOND = 8
FAILED_STEP_LINES = 8
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
# More running steps than this are counted, not drawn; on a low terminal even fewer are drawn, so that the foot is always there.
DRAWN_STEPS = 12
LONGEST_LABEL = 24
SLOTS = "slots"  # as what a step waits for
TAIL_GAP = 8  # between glyph, label, facts and tail
SHORTEST_TAIL = 20


class LiveView:
    """Draws the run on stderr until it ends."""

    def __init__(self, on_interrupt: str, console: Console | None = None) -> None:
        self._on_interrupt = on_interrupt
        self._console = console or Console(stderr=True, highlight=False)
        self._feed = Newsfeed()
        self._view = self._feed.view
        self._away = ""  # the sentence that no conductor answers, while none does
        # When a conductor that is not away was heard last, once that is too long ago.
        self._silent_since: float | None = None
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        for row in self._view.rows.values():
            if row.step.state == run_service_pb2.Step.STATE_FAILED:
                self._repeat_last_lines(row)

    def show(self, message: run_service_pb2.WatchRunResponse) -> None:
        """Takes the message in, and prints each step that ended above the live lines, once."""
        is_first = not self._view.run.name
        news = self._feed.take(message)
        if is_first and self._view.run.name:
            self._print_heading()
            self._live.refresh()
        for one in news:
            if isinstance(one, StepChanged) and one.row.is_settled:
                self._live.console.print(self._line(one.row, is_final=True))
                # Printing above repeats the lines of the last refresh, in which this step still ran.
                self._live.refresh()
        if message.HasField("log"):
            self._live.console.print(_text(f"  {message.log.text}", style="dim"))

    def away(self, address: str) -> None:
        """Shows it in the last line until it is back."""
        self._away, self._silent_since = no_answer(address, PATIENCE_SECONDS), None

    def silent(self, seconds: float) -> None:
        """Shows it in the last line until it speaks again."""
        self._silent_since = time.monotonic() - seconds

    def back(self) -> None:
        """Shows the run again."""
        self._away, self._silent_since = "", None

    def _print_heading(self) -> None:
        run = self._view.run
        heading = _text(run.flow.removeprefix("flows/"), style="bold")
        heading.append(f" over {printable(place_of(run.workspace))}", style="")
        heading.append(f"  {run.name}", style="dim")
        self._live.console.print(heading)

    def _draw(self) -> Group:
        rows = self._view.running
        if len(rows) > DRAWN_STEPS:
            rows.sort(key=lambda row: row.is_waiting)  # what is at work has more to show
        lines, waits, undrawn = list[Table](), set[str](), list[StepRow]()
        room = self._console.height - self._height(self._foot(rows))  # which is longest where all are only counted
        for row in rows:
            # One line tells that slots are taken; the others of a panel wait for the same host.
            if room < 0 or len(lines) == DRAWN_STEPS or (row.is_short_of_slots and SLOTS in waits):
                undrawn.append(row)
                continue
            line = self._line(row, is_final=False, is_repeated=row.waits_for in waits)
            room -= self._height(line)
            if room < 0:
                undrawn.append(row)
                continue
            lines.append(line)
            waits.add(SLOTS if row.is_short_of_slots else row.waits_for)
        return Group(*lines, self._foot(undrawn))

    def _height(self, part: Table | Text) -> int:
        return len(self._console.render_lines(part))

    def _line(self, row: StepRow, *, is_final: bool, is_repeated: bool = False) -> Table:
        """Returns name and facts in columns that stand still; the tail takes what is left of the width.

        What a person must do something about is shown whole, on two lines where needed: a host that went away, a decision, and what
        a step waits for, which only the first of those that wait for it tells.
        """
        glyph, style = step_look(row.step.state)
        if not is_final and self._is_seen_at_work(row):
            glyph = SPINNER[int(time.monotonic() * REFRESHES_PER_SECOND) % len(SPINNER)]
        facts = self._facts(row, is_repeated=is_repeated)
        width = self._label_width()
        is_whole = is_final or bool(row.waits_for) or row.away is not None or row.gate is not None
        tail = self._tail(row, facts, width) if is_final else "" if is_whole else "".join(row.last_lines(1))
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=1)
        table.add_column(width=width, no_wrap=True, overflow="ellipsis")
        table.add_column(ratio=1, no_wrap=not is_whole, overflow="fold" if is_whole else "ellipsis")
        table.add_row(Text(glyph, style=style), Text(abridged(row.label, width)), self._told(facts, tail))
        return table

    def _tail(self, row: StepRow, facts: str, label_width: int) -> str:
        """Returns what a step without findings said last, as far as it fits: what it looked at, or that there was nothing."""
        step = row.step
        found = step.finding_counts.ByteSize() or not step.HasField("finding_counts")
        room = self._console.width - label_width - cells(facts) - TAIL_GAP
        said = "" if found or step.state != run_service_pb2.Step.STATE_SUCCEEDED else "".join(row.last_lines(1))
        return cut(said, room) if room > SHORTEST_TAIL else ""

    def _is_seen_at_work(self, row: StepRow) -> bool:
        """Returns whether the spinner turns: not while the step's host is away or the conductor is silent."""
        is_heard = not self._away and self._silent_since is None and row.away is None
        return is_heard and row.step.state == run_service_pb2.Step.STATE_RUNNING

    def _facts(self, row: StepRow, *, is_repeated: bool) -> str:
        if row.waits_for and is_repeated:
            return "waits for the same"
        if row.gate is not None:
            return asks(row.gate) + completed(f"  conductor approve {gate_path(row.gate)}")
        if row.away is not None:  # the host is named in it; with more the line would wrap
            return disconnected(row.away, self._view.now)
        return "  ".join(step_facts(row, self._view.now))

    @staticmethod
    def _told(facts: str, tail: str) -> Text:
        text = _text(facts, style="" if facts else "dim")
        return text.append(f"  {tail}", style="dim") if tail else text

    def _label_width(self) -> int:
        longest = max((cells(row.label) for row in self._view.rows.values()), default=8)
        return min(longest, LONGEST_LABEL, self._console.width // 4)

    def _foot(self, undrawn: list[StepRow]) -> Text:
        if self._away:
            return _text(f"  {self._away} …", style="yellow")
        silent_since = self._silent_since
        if silent_since is not None:
            return _text(f"  {said_nothing(time.monotonic() - silent_since)} …", style="yellow")
        run = self._view.run
        if not run.name:
            return _text("  waiting for the run …", style="dim")
        seconds = self._view.now - run.create_time.ToNanoseconds() / 1e9
        parts = [run_state(run.state), elapsed(seconds)]
        if run.pause.cause == run_service_pb2.Pause.CAUSE_OPERATOR:
            parts.append(completed(f"conductor resume {short(run.name)}"))
        waiting = sum(row.is_waiting for row in undrawn)
        if len(undrawn) > waiting:
            parts.append(f"{len(undrawn) - waiting} more at work")
        if waiting:
            parts.append(f"{waiting} more waiting for a place")
        if self._view.pending_count:
            parts.append(f"{counted(self._view.pending_count, 'step')} to come")
        return _text("  " + " · ".join(parts) + f" · Ctrl-C {self._on_interrupt}", style="dim")

    def _repeat_last_lines(self, row: StepRow) -> None:
        lines = row.last_lines(FAILED_STEP_LINES)
        if lines:
            self._console.print(_text(f"the last words of {row.label}:", style="red"))
            for line in lines:
                self._console.print(_text(f"  │ {line}", style="dim"))


def _text(told: str, style: str) -> Text:
    return Text(printable(told), style=style)
