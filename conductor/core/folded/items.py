"""The items or rounds of a step, folded from the events of the step and of its children.

An item has ended when all its steps have. It ended badly when a step of it failed that may not fail, or was cancelled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from conductor.core.model.events.run_events import ItemsListed, RoundJudged
from conductor.core.model.states import IllegalTransitionError


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a step. A loop has one for each round.

    `listed` is the digest of the blob that holds them, `open` the number of unsettled steps of each item that goes on, `failed` the
    step whose failure ended an item, empty for an item that was stopped. `judged` is the last round that was judged.
    """

    listed: str = ""
    count: int | None = None
    left_out: int = 0
    begun: int = 0
    open: Mapping[int, int] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)
    judged: int = 0
    is_done: bool = False

    @property
    def succeeded(self) -> int:
        """Returns how many items ended well."""
        return self.begun - len(self.open.keys() | self.failed.keys())

    def with_list(self, event: ItemsListed) -> "Items":
        """Returns the items once they are known."""
        if self.count is not None:
            raise IllegalTransitionError(f"the items of step {event.step} were listed before")
        return replace(self, listed=event.items, count=event.count, left_out=event.left_out)

    def with_judged(self, event: RoundJudged) -> "Items":
        """Returns the rounds after one was judged."""
        if event.round != self.begun or self.judged == event.round or self.open:
            raise IllegalTransitionError(f"round {event.round} of step {event.step} cannot be judged")
        return replace(self, judged=event.round, is_done=event.is_done)

    def with_begun(self, index: int, unsettled: int) -> "Items":
        """Returns the items after one began, with so many steps that have not ended."""
        if index != self.begun:
            raise IllegalTransitionError(f"item {index} begins, and {self.begun} is next")
        return replace(self, begun=index + 1, open={**self.open, index: unsettled} if unsettled else self.open)

    def with_settled(self, index: int, step: str, *, badly: bool) -> "Items":
        """Returns the items after a step of one ended."""
        going_on = dict(self.open)
        if (left := going_on.pop(index, 0) - 1) > 0:
            going_on[index] = left
        failed = {**self.failed, index: step} if badly and index not in self.failed else self.failed
        return replace(self, open=going_on, failed=failed)


NOTHING_LISTED = Items()
