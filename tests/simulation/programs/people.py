"""Simulated people: they decide gates, both at once, twice or wrongly, and now and then one holds a run for a while.

What is decided about a gate follows from the gate, so that a world without trouble comes to the same end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random

from conductor.core.folded.gate import Gate
from conductor.core.folded.run import Run
from conductor.core.model.inputs import Request, RequestPause, RequestResolve, RequestResume
from conductor.core.model.states import GateDecision, GateState, PauseCause
from conductor.errors import StatusError
from tests.simulation.judges.violation import Violation
from tests.simulation.programs.plans import has_people

MOST_RETRIES = 3


class People:
    """The people of a world, who decide its gates."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = Random(f"people {seed}")
        # Two who want different things make another end: only where the end is not compared.
        self.may_disagree = seed % 4 != 0
        self.taken: dict[tuple[str, str, int], RequestResolve] = {}

    def ask(self, runs: Mapping[str, Run], *, troubled: bool) -> list[Request]:
        return [asked for run in runs.values() if not run.is_settled for asked in self._ask(run, troubled=troubled)]

    def _ask(self, run: Run, *, troubled: bool) -> Iterator[Request]:
        for step in run.steps.values() if run.waiting or troubled else ():
            for gate in step.gates:
                yield from self._decide(run, gate, troubled=troubled)
        is_held = PauseCause.OPERATOR in run.pauses
        if is_held and (not troubled or self.rng.random() < 0.1):
            yield RequestResume(run.id)
        elif troubled and has_people(self.seed) and self.rng.random() < 0.01:
            yield from [RequestPause(run.id, "lunch")] * self.rng.randint(1, 2)

    def _decide(self, run: Run, gate: Gate, *, troubled: bool) -> Iterator[Request]:
        wanted = self._want(run, gate)
        if not gate.is_pending:
            if troubled and self.rng.random() < 0.02:
                yield self.rng.choice((wanted, self._otherwise(wanted, gate)))
            return
        if gate.expire_time is not None and Random(f"late {self.seed} {run.id} {gate.id}").random() < 0.5:
            return  # no person decides
        if troubled and self.rng.random() < 0.6:
            return
        yield from [wanted] * self.rng.randint(1, 2)
        if troubled and self.rng.random() < 0.3:
            yield replace(wanted, shown="something else", request_id="")
        if troubled and self.may_disagree and self.rng.random() < 0.5:
            yield self._otherwise(wanted, gate)

    def _want(self, run: Run, gate: Gate) -> RequestResolve:
        rng = Random(f"decide {self.seed} {run.id} {gate.id}")
        decisions = [one for one in gate.decisions if one is not GateDecision.RETRY or gate.number <= MOST_RETRIES]
        decision = rng.choice(decisions)
        text = f"text {gate.id}" if decision is GateDecision.EDIT else ""
        asked = RequestResolve(run.id, gate.step, gate.number, decision, gate.shown, "ann", text=text)
        return (
            replace(asked, request_id=f"decide {run.id} {gate.id}", request_digest="one")
            if rng.random() < 0.5
            else asked
        )

    def _otherwise(self, wanted: RequestResolve, gate: Gate) -> RequestResolve:
        others = [one for one in gate.decisions if one not in {wanted.decision, GateDecision.EDIT}]
        return replace(wanted, decision=self.rng.choice(others or [wanted.decision]), request_id="", text="")

    def hear(self, asked: RequestResolve) -> None:
        """Judges that a decision was accepted: it is about what was shown, and the only one about its gate."""
        if asked.shown == "something else":
            raise Violation(f"{asked} was accepted, and the gate shows something else")
        first = self.taken.setdefault((asked.run, asked.step, asked.number), asked)
        if (first.decision, first.text) != (asked.decision, asked.text):
            raise Violation(f"{asked} was accepted after {first}")

    def hear_refusal(self, asked: RequestResolve, error: StatusError, run: Run) -> None:
        """Judges that a decision was refused: for its digest, or because the gate asks no more."""
        gate = next(one for one in run.steps[asked.step].gates if one.number == asked.number)
        is_wrong = asked.shown != gate.shown
        is_open = gate.state is GateState.PENDING and run.stop is None
        if is_wrong is not (error.reason == "DIGEST_MISMATCH") and not run.is_settled:
            raise Violation(f"{asked} was refused with {error.reason}")
        if is_open and not is_wrong:
            raise Violation(f"{asked} was refused, and the gate waits: {error}")
