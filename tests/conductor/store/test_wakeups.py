"""Watchers are bounded, and forgotten when they go."""

import pytest

from conductor.errors import NoCapacityError
from conductor.store import wakeups
from conductor.store.wakeups import Wakeups


def test_watchers_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps K5."""
    monkeypatch.setattr(wakeups, "WATCHERS", 2)
    feed = Wakeups()
    with feed.watch("a"), feed.watch("a"), pytest.raises(NoCapacityError, match="2 watchers"), feed.watch("b"):
        pass

    with feed.watch("b"):
        pass
    assert feed._watchers == {}
