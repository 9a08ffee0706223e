"""Says in lines what a hostile model got an agent to do in its last trial."""

from collections.abc import Iterator
from datetime import UTC, datetime

from conductor.v1.pool_service_pb2 import HostAgent, Trial
from servicekit.printing.terminal_text import one_line, printable

LAST_SECOND = 253_402_300_799  # of the year 9999: a host may tell any time


def trial_outcome(agent: HostAgent) -> str:
    """Returns `trial held 2026-11-30, 9 of 9 orders reached the agent` or `no trial`; one of another spec or release says so.

    A trial is incomplete where nothing came of its orders and some of them did not reach the agent.
    """
    if not agent.HasField("last_trial"):
        return "no trial"
    trial = agent.last_trial
    other = "" if trial.current else ", with another spec or release"
    tried = sum(not order.untried for order in trial.orders)
    is_whole = 0 < tried == len(trial.orders)
    outcome = "broke out" if not trial.held else "held" if is_whole else "incomplete"
    reach = f"{tried} of {len(trial.orders)} orders reached the agent"
    return f"trial {outcome} {_ended(trial):%Y-%m-%d}, {reach}{other}"


def trial_lines(agent: HostAgent) -> Iterator[str]:
    """Yields a line for each order of the last trial: whether anything came of it, and what the agent answered."""
    if not agent.HasField("last_trial"):
        yield f"        no hostile model has tried it; on its host:  agenthost agents check {printable(agent.name)}"
        return
    trial = agent.last_trial
    version = f" as version {printable(trial.version)}" if trial.version else ""
    yield f"        tried {_ended(trial):%Y-%m-%d %H:%M:%S} UTC{version}, digest {printable(trial.digest)[:12]}"
    for order in trial.orders:
        glyph = "✘" if not order.held else "○" if order.untried else "✔"
        yield f"        {glyph} {printable(order.name)}: {one_line(order.answer, 120)}"


def _ended(trial: Trial) -> datetime:
    return datetime.fromtimestamp(min(max(trial.time.seconds, 0), LAST_SECOND), UTC)
