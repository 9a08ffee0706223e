"""Simulated links: one per attempt, as the real ones are. They carry, break, repeat, come late and forget when the process dies."""

from dataclasses import dataclass
from random import Random

from conductor.core.events import StartSpec
from conductor.core.inputs import ExecutionLost, ExecutionRefused, ExecutionReported, Input
from tests.simulation.hosts import SimulatedHost


@dataclass
class Link:
    attempt: str
    host: SimulatedHost
    start: StartSpec | None = None
    known: bool = False
    received: int = 0
    cancelled: bool = False
    attached: bool = False
    acknowledgement: tuple[int, bool] = (0, False)
    is_over: bool = False

    def attach(self, rng: Random) -> list[Input]:
        """Opens a stream, if its host is there; gives what that tells."""
        if not self.host.connected:
            self.attached = False
            return []
        if self.start is not None and not self.known and not self.cancelled:
            refusal = self.host.start(self.start)
            if refusal:
                self.is_over = True
                return [ExecutionRefused(self.attempt, refusal, f"No: {refusal}.", retryable=refusal == "NO_CAPACITY")]
        elif not self.acknowledgement[1] and not self.host.resume(self.attempt, self.received):
            self.is_over = True
            return [ExecutionLost(self.attempt, "The host does not know it.")]
        self.known = self.attached = True
        self.tell(rng)
        return []

    def tell(self, rng: Random) -> None:
        """Says again what was said: cancel and acknowledgement."""
        if not self.attached:
            return
        if self.cancelled:
            self.host.cancel(self.attempt, rng)
        sequence, finished = self.acknowledgement
        self.host.acknowledge(self.attempt, sequence, finished=finished)
        self.is_over = self.is_over or finished

    @property
    def unread(self) -> int:
        """How many frames wait on the host."""
        execution = self.host.executions.get(self.attempt)
        return 0 if execution is None or not self.attached else execution.made - self.received

    def read(self, count: int, skip: int = 0) -> ExecutionReported:
        """Reads frames, merged; `skip` reads later ones first, which the link does not believe to have."""
        first = self.received + 1 + skip
        last = min(first + count - 1, self.host.executions[self.attempt].made)
        if not skip:
            self.received = last
        return ExecutionReported(
            self.attempt, first, last, tuple(self.host.executions[self.attempt].script[first - 1 : last])
        )
