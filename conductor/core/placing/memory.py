"""Remembers of a pool what its next launch depends on: the model that is loaded, and until when the pool is parked.

The rules, before the code:

- The model of the last launch counts as loaded. Waiting steps of that model go first, for a turn of at most ten launches or five
  minutes; then another model goes first, if a step waits for one. Otherwise a server would load a model for every step.
- An attempt that ended because its model's endpoint was asked too fast parks its pool until the time that the endpoint named, at
  most six hours; where it named none, for half a minute.
- All of it follows from stored attempts. A restart remembers the unfinished runs' attempts: what a park of a run that has ended
  would have prevented costs one refused request, and parks the pool again.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from conductor.core.decide.endings.retry import has_parked
from conductor.core.folded.attempt import Attempt
from conductor.core.folded.run import Run
from conductor.core.model.conductor_state import Pool

MOST_LAUNCHES = 10
MOST_SECONDS = 300.0
LONGEST_PARK_SECONDS = 6 * 3600.0
UNNAMED_PARK_SECONDS = 30.0


def launch(pool: Pool, model: str, now: float, root: str) -> Pool:
    """Returns the pool after an attempt was launched there. A turn that is over begins again where no other model took it.

    `root` is the run that a caller asked for.
    """
    pool = replace(pool, served={**pool.served, root: now})
    if pool.launches and model == pool.loaded and not is_turn_over(pool, now):
        return replace(pool, launches=pool.launches + 1)
    return replace(pool, loaded=model, loaded_at=now, launches=1)


def forget_ended(pool: Pool, runs: Collection[str]) -> Pool:
    """Returns the pool without the runs that are not among these unfinished ones."""
    if all(run in runs for run in pool.served):
        return pool
    return replace(pool, served={run: time for run, time in pool.served.items() if run in runs})


def park_end(attempt: Attempt) -> float:
    """Returns until when an attempt that has ended parks its pool; 0 where it does not."""
    if not has_parked(attempt):
        return 0.0
    seconds = min(attempt.end.retry_after_seconds or UNNAMED_PARK_SECONDS, LONGEST_PARK_SECONDS)
    return (attempt.end_time or 0.0) + seconds


def goes_first(pool: Pool, model: str, waiting: Callable[[], Collection[str]], now: float) -> bool:
    """Returns whether a step of this model may go before others. `waiting` returns the models that steps want a slot for."""
    is_loaded = pool.launches > 0 and model == pool.loaded
    if is_turn_over(pool, now):
        return not is_loaded or all(other == model for other in waiting())
    return is_loaded or not pool.launches or pool.loaded not in waiting()


def is_turn_over(pool: Pool, now: float) -> bool:
    """Returns whether another model goes first now, if a step waits for one."""
    return pool.launches >= MOST_LAUNCHES or now - pool.loaded_at >= MOST_SECONDS


def remember(runs: Iterable[Run], now: float) -> dict[str, Pool]:
    """Returns the pools as the attempts of these runs left them."""
    steps = ((run, step) for run in runs for step in run.steps.values())
    attempts = sorted(
        ((run.plan.root, attempt) for run, step in steps for attempt in step.attempts if attempt.pool),
        key=lambda one: (one[1].create_time, one[1].id),
    )
    pools: dict[str, Pool] = {}
    for root, attempt in attempts:
        pool = launch(pools.get(attempt.pool, Pool()), attempt.model, attempt.create_time, root)
        until = park_end(attempt)
        pools[attempt.pool] = replace(pool, parked_until=max(pool.parked_until, until if until > now else 0.0))
    return pools
