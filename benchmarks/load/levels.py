"""Measures one level of load, judges whether it is carried, and names what gave where it is not."""

import asyncio
import statistics
import time
from dataclasses import dataclass

from benchmarks.load.gauges import Usage
from benchmarks.load.lateness import measure_lateness
from benchmarks.load.scene import Scene
from benchmarks.measuring import digits, percentile

LATE_MILLISECONDS = 250.0
DECIDED_MILLISECONDS = 1000.0
LEAST_DELIVERED = 0.97
FULL = 0.85  # of one processor
FOREIGN = 0.3
CROWDED = 0.15  # of the time, in which the event loop waited for a processor
PLAYER_LATE_MILLISECONDS = 50.0


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of one level."""

    settling: float
    measuring: float
    draining: float


@dataclass(frozen=True, slots=True)
class Level:
    """What was measured at a level of load."""

    load: int
    late: list[float]
    decided: list[float]
    delivered: float
    usage: Usage
    players_late: float
    error: str = ""

    @property
    def trouble(self) -> str:
        """Returns how it was seen that the load is not carried; empty where it is."""
        late, decided = self.p99, max(self.decided, default=0.0)
        if self.error:
            return self.error
        if self.delivered < LEAST_DELIVERED:
            return f"{100 * self.delivered:.0f} % of the words came"
        if late > LATE_MILLISECONDS:
            return f"words were {digits(late)} ms late at p99"
        return f"a decision took {digits(decided)} ms" if decided > DECIDED_MILLISECONDS else ""

    @property
    def p99(self) -> float:
        return percentile(self.late, 0.99) if self.late else float("inf")

    @property
    def cause(self) -> str:
        """Returns what was used up."""
        usage, found = self.usage, []
        if usage.loop + usage.waited >= FULL and usage.loop > usage.waited:
            found.append(f"the conductor's event loop ({_share(usage.loop)} of a processor)")
        if usage.committing >= FULL:
            found.append(f"the store's commits ({_share(usage.committing)} of the time)")
        if usage.waited >= CROWDED:
            found.append(f"the processors: the event loop waited for one {_share(usage.waited)} of the time")
        if usage.others >= FOREIGN:
            found.append(f"other programs of this machine ({_share(usage.others)} of a processor)")
        if self.players_late > PLAYER_LATE_MILLISECONDS:
            found.append(f"the players of the load, {digits(self.players_late)} ms late themselves")
        return ", and ".join(found) or "nothing that is measured was used up"

    def cells(self) -> tuple[str, ...]:
        """Returns the row of a table."""
        usage = self.usage
        late = [digits(percentile(self.late, share)) for share in (0.5, 0.99)] if self.late else ["-", "-"]
        decided = (
            [digits(one) for one in (statistics.median(self.decided), max(self.decided))]
            if self.decided
            else ["-", "-"]
        )
        shares = (usage.loop, usage.conductor, usage.committing, usage.database, usage.players, usage.waited)
        return (f"{self.load:,}", *late, *decided, *map(_share, shares), f"{usage.resident_mib:.0f} MiB")


HEAD = (
    "a word's way, p50",
    "p99, in ms",
    "a decision, p50",
    "most, in ms",
    "event loop",
    "conductor",
    "in commits",
    "database",
    "players",
    "loop waits for a processor",
    "conductor's memory",
)


async def measure_level(scene: Scene, load: int, words: float, times: Times) -> Level:
    """Measures the load that is there; `words` are due each second."""
    await asyncio.sleep(times.settling)
    scene.ears.clear()
    for player in scene.players:
        player.take_lateness()
    gauges = scene.gauges
    before, begin = await gauges.read(), time.time()
    decided, own = await asyncio.gather(
        scene.ears.time_decisions(scene.idle, times.measuring), measure_lateness(times.measuring)
    )
    end, after = time.time(), await gauges.read()
    players_late = max(own, *(player.take_lateness() for player in scene.players))
    await asyncio.sleep(times.draining)
    late = scene.ears.milliseconds_late(begin, end)
    delivered = min(1.0, len(late) / (words * (end - begin)))
    error = "; ".join(scene.ears.errors[:2])
    return Level(load, late, decided, delivered, gauges.usage(before, after), players_late, error)


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
