"""Judges the clocks of runs, queues and gates by the true time: none may run out before it has, whatever the wall clock was set to.

In another boot of the conductor's machine only its wall clock tells how long nobody was there, so that is not judged.
"""

from collections.abc import Mapping

from conductor.core.decide.endings.clocks import QUEUE_TIMEOUT
from conductor.core.folded.run import Run
from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.gate_events import GateOpened, GateResolved, RunPaused, RunResumed
from conductor.core.model.events.run_events import RunCreated, RunTimedOut, StepFailed, StepQueued, StepRequeued
from conductor.core.model.states import PauseCause
from tests.simulation.judges.violation import Violation

_ROUNDING = 0.001


class Stopwatch:
    """Knows since when each run and each queued step truly waits."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}
        self._paused: dict[str, float] = {}

    def watch(self, decision: Decision, runs: Mapping[str, Run], now: float, true_now: float, booted: float) -> None:
        """Takes a decision that is about to be stored: made when it was `now` for the engine, and truly `true_now`."""
        for record in decision.to_store:
            if not isinstance(record, Record):
                continue
            self._watch_gates(record, runs, true_now, booted)
            match record.event:
                case RunCreated():
                    self._since[record.run, ""] = true_now
                case StepQueued(step=step):
                    self._since[record.run, step] = true_now
                case StepRequeued(step=step, not_before=not_before):
                    self._since[record.run, step] = true_now + not_before - now
                case RunTimedOut():
                    self._judge((record.run, ""), runs[record.run].plan.timeout_seconds, true_now, booted)
                case StepFailed(step=step, failure=failure) if (
                    failure.reason == QUEUE_TIMEOUT and (record.run, step) in self._since
                ):
                    agent = runs[record.run].steps[step].plan.agent
                    if agent is not None:  # else the step of a sub-run failed for it
                        self._judge((record.run, step), agent.queue_timeout_seconds, true_now, booted)

    def _judge(self, what: tuple[str, str], seconds: float, true_now: float, booted: float) -> None:
        since = self._since[what]
        if since >= booted and true_now - since < seconds - _ROUNDING:
            raise Violation(f"the clock of {'/'.join(what)} ran out after {true_now - since:.1f} s of {seconds:.1f} s")

    def _watch_gates(self, record: Record, runs: Mapping[str, Run], true_now: float, booted: float) -> None:
        match record.event:
            case GateOpened(step=step, expire_time=until) if until:
                self._since[record.run, step] = true_now
            case GateResolved(step=step, has_expired=has_expired):
                self._judge_gate(runs[record.run], step, true_now, booted, has_expired=has_expired)
            case RunPaused(cause=PauseCause.GATE):
                self._paused[record.run] = true_now
            case RunResumed(cause=PauseCause.GATE) if record.run in self._paused:
                self._since[record.run, ""] += true_now - self._paused.pop(record.run)  # its clock stood still

    def _judge_gate(self, run: Run, step: str, true_now: float, booted: float, *, has_expired: bool) -> None:
        seconds = run.steps[step].plan.gate.expires_seconds if run.steps[step].plan.kind == "gate" else 0.0
        if has_expired:
            self._judge((run.id, step), seconds, true_now, booted)
        elif seconds and self._since[run.id, step] >= booted:
            late = true_now - self._since[run.id, step] - seconds
            if late > _ROUNDING:
                raise Violation(f"the gate of {run.id}/{step} was decided {late:.1f} s after its time")
