"""No agent lives on where no conductor is attached, nor where no run counts on it."""

from collections.abc import Iterable

from agenthost.shim.clocks import LATE_GRACE_SECONDS
from tests.simulation.ground.network import Network
from tests.simulation.judges.journal import JudgedDisk
from tests.simulation.judges.violation import Violation
from tests.simulation.programs.machine import THAWING_SECONDS, Machine
from tests.simulation.programs.plans import ORPHAN_SECONDS

# From the end of all trouble: keepalive finds the last broken call, the host is asked again, the agent has its grace.
NEEDLESS_SECONDS = 25.0
# The orphan timeout, the grace after it, and what a shim grants when it looked late.
LEASE_SECONDS = ORPHAN_SECONDS + 5.0 + LATE_GRACE_SECONDS


def check_leases(machines: Iterable[Machine], network: Network, now: float) -> None:
    """No agent outlives its lease where no conductor is attached (rule 8)."""
    for machine in machines:
        is_awake = now > machine.thawed_at + THAWING_SECONDS
        if machine.living and is_awake and network.alone_for(machine.name) > LEASE_SECONDS:
            raise Violation(f"{sorted(machine.living)} live on, and no conductor is attached")


class Purposes:
    """Since when each agent is needless."""

    def __init__(self) -> None:
        self._needless: dict[str, float] = {}

    def check(self, machines: Iterable[Machine], store: JudgedDisk, now: float, well_since: float) -> None:
        """When all is well again, no agent goes on for long that no run counts on, or whose run stops."""
        for machine in machines:
            for attempt in machine.living:
                run = store.runs[attempt.partition("-")[0]]
                if store.is_live(attempt) and run.stop is None:
                    self._needless.pop(attempt, None)
                elif now - self._needless.setdefault(attempt, now) > NEEDLESS_SECONDS:
                    raise Violation(f"the agent of {attempt} goes on, and no run counts on it")
            for attempt, since in machine.waiting.items():
                if now - max(since, well_since) > NEEDLESS_SECONDS:
                    raise Violation(f"the agent of {attempt} has ended its turn, and is told nothing")
