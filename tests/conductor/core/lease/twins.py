"""Broken twins of the lease: each leaves one rule out. The simulation must catch every one of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from conductor.core.lease import standing as core
from conductor.core.lease.model import Answered, Input, Role, Standing
from tests.conductor.core.lease.world import SECONDS, Rules


def _decide_with(change: Callable[[Input, float], Input]) -> Callable[..., tuple[Standing, tuple[object, ...]]]:
    def decide(standing: Standing, inputs: Iterable[Input], now: float) -> tuple[Standing, tuple[object, ...]]:
        return core.decide(standing, [change(entry, now) for entry in inputs], now)

    return decide


def _count_from_the_answer(entry: Input, now: float) -> Input:
    return replace(entry, asked_at=now) if isinstance(entry, Answered) else entry


def _count_as_much_as_the_database(entry: Input, _: float) -> Input:
    more = SECONDS / core.SAFE_SHARE - SECONDS
    return replace(entry, asked_at=entry.asked_at + more) if isinstance(entry, Answered) else entry


def _look_at_the_role_only(standing: Standing, _: float) -> bool:
    return standing.role in {Role.TAKING_OVER, Role.ACTIVE}


TWINS: Mapping[str, Rules] = {
    "counts the lease from the answer": Rules(decide=_decide_with(_count_from_the_answer)),
    "counts as much as the database does": Rules(decide=_decide_with(_count_as_much_as_the_database)),
    "looks at no clock before it sends": Rules(may_send=_look_at_the_role_only),
    "counts the lease by a clock that stands still in sleep": Rules(counts_sleep=False),
    "judges another's lease by its own clock": Rules(database_judges=False),
    "takes over without a new epoch": Rules(raises_epoch=False),
    "writes without a fence": Rules(has_fence=False),
    "looks at the fence before the transaction": Rules(fence_is_in_the_transaction=False),
    "repeats a commit whose outcome is unknown": Rules(asks_after_unknown_commit=False),
    "drives hosts that keep no epoch": Rules(hosts_fence=False),
}
