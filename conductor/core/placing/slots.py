"""Counts the slots of pools, and says who holds them and why a step has none.

Slots are counted from live attempts each time. There is no stored counter. Where hosts tell different numbers of slots for one
pool, the smallest holds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from conductor.core.folded.attempt import Attempt, attempt_owner
from conductor.core.folded.step import Wait
from conductor.core.folded.turn import TurnState
from conductor.core.model.conductor_state import Host, Pool, Track
from conductor.core.model.inputs import HostPool
from conductor.core.model.states import WaitKind
from conductor.core.model.truncation import MOST_REASON, cut_text
from conductor.core.placing.memory import goes_first, launch

# How many holders a sentence names; it counts the others.
MOST_NAMED = 3
# How many pools it explains.
MOST_POOLS = 2

# Of a turn that has ended: the slot is kept.
_AT_WORK = frozenset({TurnState.CHECKING, TurnState.TO_REPAIR})

Waiting = Callable[[], Mapping[str, frozenset[str]]]


@dataclass(frozen=True, slots=True)
class Seat:
    """A slot that a placement takes: its pool, and the model that is asked there. Both are empty for an agent without a model."""

    pool: str = ""
    model: str = ""


NO_SEAT = Seat()


def seat_of(host: Host, agent: str, model: str) -> Seat:
    """Returns the slot that an agent needs on a host. `model` is the step's own wish, or empty."""
    asked = host.models.get(agent)
    return NO_SEAT if asked is None else Seat(asked.pool, cut_text(model, MOST_REASON) or asked.model)


def held_pool(attempt: Attempt) -> str:
    """Returns the pool of which a live attempt holds a slot; empty where it holds none, or none any more.

    An agent of several turns keeps its slot while a turn is checked: that takes moments, and a repair follows at once, with the
    conversation still in the server's memory. It gives the slot back when nothing more is asked of its model.
    """
    turn = attempt.last_turn
    return attempt.pool if turn is None or turn.state in _AT_WORK else ""


def list_pools(hosts: Mapping[str, Host]) -> dict[str, HostPool]:
    """Returns every pool that a connected host knows."""
    found: dict[str, HostPool] = {}
    for host in hosts.values():
        for name, pool in host.pools.items() if host.connected else ():
            known = found.get(name, pool)
            found[name] = replace(pool, slots=min(pool.slots, known.slots), is_local=pool.is_local and known.is_local)
    return found


def list_holders(tracks: Iterable[tuple[str, Track]]) -> dict[str, list[str]]:
    """Returns the live attempts that hold slots, by pool."""
    holders: dict[str, list[str]] = {}
    for attempt, track in tracks:
        if track.pool:
            holders.setdefault(track.pool, []).append(attempt)
    return holders


class PoolSlots:
    """The pools during one look at the queue. `take` gives a slot; nothing of it is stored.

    `waiting` returns the models that steps wait for, by pool. It is asked only where it matters: it takes a look at every step.
    """

    def __init__(
        self,
        hosts: Mapping[str, Host],
        tracks: Iterable[tuple[str, Track]],
        pools: Mapping[str, Pool],
        now: float,
        waiting: Waiting = dict,
    ) -> None:
        self.known = list_pools(hosts)
        self.holders = list_holders(tracks) if self.known else {}
        self.pools = dict(pools)
        self._now = now
        self._waiting = waiting

    def is_parked(self, pool: str) -> bool:
        """Returns whether nothing may be launched there now."""
        return pool in self.pools and self.pools[pool].parked_until > self._now

    def is_quiet(self, pool: str) -> bool:
        """Returns whether the pool's endpoint asked for a short pause, in which nothing is launched."""
        return pool in self.pools and self.pools[pool].quiet_until > self._now

    def is_open(self, seat: Seat) -> bool:
        """Returns whether a slot is free, or needed at all."""
        if not seat.pool:
            return True
        known = self.known.get(seat.pool)
        if known is None or self.is_parked(seat.pool) or self.is_quiet(seat.pool):
            return False
        return len(self._held(seat.pool)) < known.slots

    def goes_first(self, seat: Seat) -> bool:
        """Returns whether its model may go before others of its pool."""
        known = self.known.get(seat.pool)
        if known is None or not known.is_local:
            return True
        pool = self.pools.get(seat.pool, Pool())
        return goes_first(pool, seat.model, lambda: self._waiting().get(seat.pool, frozenset()), self._now)

    def must_load(self, seat: Seat) -> bool:
        """Returns whether the model is probably not loaded yet."""
        known = self.known.get(seat.pool)
        return known is not None and known.is_local and self.pools.get(seat.pool, Pool()).loaded != seat.model

    def give_reason(self, seat: Seat) -> str:
        """Returns why a slot can be had, as a sentence; empty where none is needed."""
        known = self.known.get(seat.pool)
        if known is None:
            return ""
        loading = f", and {seat.model} may have to be loaded" if self.must_load(seat) else ""
        return f" Of {seat.pool}, {len(self._held(seat.pool))} of {known.slots} model slots were in use{loading}."

    def list_scarce(self, runs: int) -> list[str]:
        """Returns the pools with fewer free slots than runs that may want one, and with some."""
        free = {name: known.slots - len(self._held(name)) for name, known in self.known.items()}
        return sorted(name for name, left in free.items() if 0 < left < runs and self.is_open(Seat(name)))

    def take(self, seat: Seat, attempt: str, root: str) -> None:
        """Gives a slot to an attempt of a run, which is `root` or a part of it."""
        if seat.pool:
            self.holders.setdefault(seat.pool, []).append(attempt)
            self.pools[seat.pool] = launch(self.pools.get(seat.pool, Pool()), seat.model, self._now, root)

    def explain(self, seats: Sequence[Seat], run: str) -> Wait | None:
        """Returns why none of these slots can be had by a step of a run; None where one can."""
        if any(self.is_open(seat) for seat in seats):
            return None
        names = sorted({seat.pool for seat in seats})
        full = [name for name in names if not self.is_parked(name)]
        shown = full or names
        text = " ".join(self._explain(name, run) for name in shown[:MOST_POOLS])
        return Wait(
            WaitKind.POOL if full else WaitKind.PARKED, cut_text(text), pool=cut_text(", ".join(shown), MOST_REASON)
        )

    def _explain(self, pool: str, run: str) -> str:
        if self.is_parked(pool):
            until = datetime.fromtimestamp(self.pools[pool].parked_until, UTC)
            return f"{pool} is parked until {until:%H:%M:%S} UTC (rate limited)."
        if self.is_quiet(pool):
            until = datetime.fromtimestamp(self.pools[pool].quiet_until, UTC)
            return f"{pool} asked for a pause until {until:%H:%M:%S} UTC (rate limited)."
        held, slots = self._held(pool), self.known[pool].slots
        return f"Waits for a slot of {pool} ({len(held)} of {slots} in use by {_name(held, run)})."

    def _held(self, pool: str) -> Sequence[str]:
        return self.holders.get(pool, ())


def _name(attempts: Sequence[str], run: str) -> str:
    """Names the steps of attempts, those of other runs with the end of that run's id."""
    owners = [attempt_owner(attempt) for attempt in attempts]
    named = [step if owner == run else f"{step} of …{owner[-6:]}" for owner, step in owners[:MOST_NAMED]]
    others = [f"{len(owners) - MOST_NAMED} more"] if len(owners) > MOST_NAMED else []
    return ", ".join([*named, *others])
