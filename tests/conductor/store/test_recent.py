"""The entries kept of watched runs are those of the database, within bounds. Keeps G1 and G4."""

from hypothesis import given
from hypothesis import strategies as st

from conductor.core.model.events.run_events import StepBecameReady
from conductor.core.model.output import Channel, Output
from conductor.store.recent import EVENT_BYTES, RECENT_BYTES, Recent, Stored, size_of
from conductor.store.records import StoredEvent, StoredOutput
from tests.conductor.store.material import run_name

RUN = run_name(1)
EVERYTHING = 10**9


def item(position: int, size: int = 0) -> Stored:
    if size:
        return StoredOutput(position, 1.0, 0, Output(f"{RUN}-docs-1", Channel.ANSWER, "x" * size))
    return StoredEvent(position, 1.0, StepBecameReady("docs"))


def positions(items: list[Stored] | None) -> list[int] | None:
    return None if items is None else [one.position for one in items]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30), st.data())
def test_pages_follow_each_other_without_a_gap(sizes: list[int], data: st.DataObject) -> None:
    recent = Recent()
    with recent.kept(RUN):
        at = 1
        while at <= len(sizes):
            count = data.draw(st.integers(1, 5))
            recent.add({RUN: [item(at + more, size) for more, size in enumerate(sizes[at - 1 : at - 1 + count])]})
            at += count
        start = data.draw(st.integers(0, len(sizes)))
        told: list[int] = []
        while page := recent.after(RUN, told[-1] if told else start, data.draw(st.sampled_from((1, 5000, EVERYTHING)))):
            told += [one.position for one in page]

    assert told == list(range(start + 1, len(sizes) + 1))


def test_what_is_not_kept_is_not_told_as_nothing() -> None:
    recent = Recent()
    recent.add({RUN: [item(1)]})
    assert recent.after(RUN, 0, EVERYTHING) is None
    with recent.kept(RUN):
        assert recent.after(RUN, 1, EVERYTHING) is None
        recent.add({RUN: [item(2), item(3)]})
        assert positions(recent.after(RUN, 0, EVERYTHING)) is None
        assert positions(recent.after(RUN, 1, EVERYTHING)) == [2, 3]
        assert positions(recent.after(RUN, 3, EVERYTHING)) == []
        assert positions(recent.after(RUN, 4, EVERYTHING)) is None


def test_of_a_run_only_so_much_is_kept_and_nothing_when_it_is_not_watched() -> None:
    """Keeps G4: however long a watcher does not look."""
    recent = Recent()
    with recent.kept(RUN):
        with recent.kept(RUN):
            for position in range(1, 200):
                recent.add({RUN: [item(position, 3000)]})
        kept = recent.after(RUN, 199 - RECENT_BYTES // (3000 + EVENT_BYTES), EVERYTHING)
        assert kept
        assert recent.after(RUN, 0, EVERYTHING) is None
        assert sum(map(size_of, kept)) <= RECENT_BYTES

        recent.add({RUN: [item(200, RECENT_BYTES + 1)]})
        assert recent.after(RUN, 199, EVERYTHING) is None
    assert recent._runs == {}
