"""A run as its watcher knows it: what WatchRun told so far, folded. It decides what is worth a line; it prints nothing."""

import time
from dataclasses import dataclass, field

from conductor.cli.text.names import short
from conductor.cli.text.wording import SETTLED_STEP
from conductor.v1 import gate_service_pb2, run_service_pb2
from servicekit.printing.terminal_text import one_line, printable

# How much of what a step said is kept for its tail and, if it fails, for its last lines.
KEPT_CHARACTERS = 4_000
LONGEST_LABEL = 200


@dataclass(slots=True)
class StepRow:
    """One step, with the end of what its agent said."""

    step: run_service_pb2.Step
    said: str = ""
    disconnection: run_service_pb2.Disconnection | None = None
    present_wait: str = ""  # what it waits for now, as progress told it last; empty where its step says it
    sub_run: run_service_pb2.SubRunProgress | None = None  # how far it is

    @property
    def id(self) -> str:
        """The step's id."""
        return short(self.step.name)

    @property
    def label(self) -> str:
        """The step's label, else its id."""
        return one_line(self.step.label, LONGEST_LABEL) or self.id

    @property
    def attempt(self) -> run_service_pb2.Attempt:
        """The newest attempt, empty where there is none."""
        return self.step.attempts[-1] if self.step.attempts else run_service_pb2.Attempt()

    @property
    def away(self) -> run_service_pb2.Disconnection | None:
        """The absence of the host that it runs on, as progress told it last, or else as its attempt says."""
        if self.step.state != run_service_pb2.Step.STATE_RUNNING:
            return None
        attempt = self.attempt
        if self.disconnection is not None or not attempt.HasField("disconnected_time"):
            return self.disconnection
        return run_service_pb2.Disconnection(
            host=attempt.host,
            disconnected_time=attempt.disconnected_time,
            lost_time=attempt.lost_time,
            other_instance=attempt.other_instance,
        )

    @property
    def wait(self) -> str:
        """The reason for its wait, as it was when it began to wait for that; empty where it does not wait.

        A step whose sub-run is held up waits for what its sub-run waits for.
        """
        if self.step.sub_run and not self.is_settled:
            return self.present_wait or self.step.wait.text
        return self.step.wait.text if self.step.state == run_service_pb2.Step.STATE_QUEUED else ""

    @property
    def waits_for(self) -> str:
        """The reason for its wait as it is now: the slots of a pool change hands."""
        return self.wait and (self.present_wait or self.wait)

    @property
    def gate(self) -> gate_service_pb2.Gate | None:
        """The gate at which it waits for a person; None where it waits at none."""
        return self.step.gate if self.step.state == run_service_pb2.Step.STATE_WAITING_GATE else None

    @property
    def is_short_of_slots(self) -> bool:
        """True while it waits for a slot of a host, and for nothing else."""
        return self.is_waiting and self.step.wait.kind == run_service_pb2.Wait.KIND_SLOT

    @property
    def is_waiting(self) -> bool:
        """True while it lacks nothing but a place."""
        return self.step.state in {run_service_pb2.Step.STATE_READY, run_service_pb2.Step.STATE_QUEUED}

    def prepared_for(self, now: float) -> float:
        """Returns for how many seconds the host has been preparing this step's attempt; 0 where it runs."""
        attempt = self.attempt
        is_starting = attempt.state == run_service_pb2.Attempt.STATE_STARTING
        if self.step.state != run_service_pb2.Step.STATE_RUNNING or not is_starting or self.away is not None:
            return 0.0
        return now - attempt.create_time.ToNanoseconds() / 1e9

    @property
    def is_settled(self) -> bool:
        """True when it has ended."""
        return self.step.state in SETTLED_STEP

    def seconds(self, now: float) -> float:
        """Returns how long the step is, or was, at work, without the set-up of its only attempt."""
        step = self.step
        if not step.HasField("start_time"):
            return 0.0
        is_only = len(step.attempts) == 1 and step.attempts[0].HasField("start_time")
        start = step.attempts[0].start_time if is_only else step.start_time
        end = step.end_time.ToNanoseconds() / 1e9 if step.HasField("end_time") else now
        return end - start.ToNanoseconds() / 1e9

    def last_lines(self, count: int) -> list[str]:
        """Returns the last lines that were said, without empty ones."""
        return [line for line in self.said.splitlines() if line.strip()][-count:]


@dataclass(slots=True)
class RunView:
    """The run and its steps."""

    run: run_service_pb2.Run = field(default_factory=run_service_pb2.Run)
    rows: dict[str, StepRow] = field(default_factory=dict)
    # The conductor's time, as it was told last, and when that was heard.
    _told: float = 0.0
    _heard: float = 0.0

    def apply(self, told: run_service_pb2.WatchRunResponse) -> StepRow | None:
        """Takes in one message; returns the step whose state or wait it changed."""
        if told.HasField("time"):
            self._told, self._heard = told.time.ToNanoseconds() / 1e9, time.monotonic()
        match told.WhichOneof("message"):
            case "run":
                self.run = told.run
                for step in told.run.steps:
                    self._update(step)
            case "step":
                return self._update(told.step)
            case "output":
                self._hear(told.output)
            case "progress":
                self._note_present(told.progress)
            case _:
                pass
        return None

    @property
    def now(self) -> float:
        """The time of the run as it is told: right in a replay of yesterday's run, and where clocks differ."""
        return self._told + time.monotonic() - self._heard if self._told else time.time()

    def _update(self, step: run_service_pb2.Step) -> StepRow | None:
        row = self.rows.get(step.name)
        if row is None:
            self.rows[step.name] = row = StepRow(step)
            return row
        before, waited_for = row.step.state, row.wait
        row.step, row.present_wait = step, ""
        return row if step.state != before or row.wait != waited_for else None

    def _note_present(self, progress: run_service_pb2.Progress) -> None:
        away = {step: one for one in progress.disconnections for step in one.steps}
        waits = {one.step: one.wait.text for one in progress.waits}
        sub_runs = {one.step: one for one in progress.sub_runs}
        for name, row in self.rows.items():
            row.disconnection = away.get(name)
            row.present_wait = waits.get(name, "")
            row.sub_run = sub_runs.get(name)

    def _hear(self, output: run_service_pb2.Output) -> None:
        row = self.rows.get(output.step)
        if row is not None and output.channel != run_service_pb2.Output.CHANNEL_ACTIVITY:
            row.said = (row.said + printable(output.text))[-KEPT_CHARACTERS:]

    @property
    def running(self) -> list[StepRow]:
        """Steps that are neither settled nor merely pending."""
        pending = run_service_pb2.Step.STATE_PENDING
        return [row for row in self.rows.values() if not row.is_settled and row.step.state != pending]

    @property
    def pending_count(self) -> int:
        """Steps that wait for others."""
        return sum(row.step.state == run_service_pb2.Step.STATE_PENDING for row in self.rows.values())
