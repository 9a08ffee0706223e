"""A store reads back what was appended: events, text, cursors, blobs, requests."""

import hashlib
import random
from dataclasses import replace

import pytest

from conductor.clock import Past
from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.run_events import RunCancelRequested, RunStarted, StepBecameReady, StepSkipped
from conductor.core.model.output import Channel, Output
from conductor.errors import NotFoundError
from conductor.store.port import RepeatedEventError, Store
from conductor.store.records import StoredEvent, StoredOutput, StoredRequest
from conductor.store.texts import PIECE_BYTES
from tests.conductor.store.material import (
    attempt,
    attempt_name,
    blob,
    creation,
    events,
    plan,
    run_name,
    said,
    settlement,
    speech,
)

RUN = run_name(1)
OTHER = run_name(2)


async def positions(store: Store, run: str) -> list[int]:
    found: list[int] = []
    while page := await store.history(run, found[-1] if found else 0, 1):
        found += [entry.position for entry in page]
    return found


async def test_events_and_text_share_one_gapless_order(store: Store) -> None:
    """Keeps G1."""
    await store.append(creation(RUN), 1.0)
    await store.append(attempt(RUN), 2.0)
    mixed = Decision(to_store=(said(RUN, "a"), Record(RUN, StepBecameReady("docs")), said(RUN, "b")))
    last = await store.append(mixed, 3.0)

    history = await store.history(RUN, 0)

    assert last == {RUN: 5}
    assert [entry.position for entry in history] == [1, 2, 3, 4, 5]
    assert history[2:] == [
        StoredOutput(3, 3.0, 0, Output(attempt_name(RUN), Channel.ANSWER, "a")),
        StoredEvent(4, 3.0, StepBecameReady("docs")),
        StoredOutput(5, 3.0, 1, Output(attempt_name(RUN), Channel.ANSWER, "b")),
    ]


async def test_runs_count_their_positions_apart_and_the_feed_counts_all(store: Store) -> None:
    """Keeps G5."""
    await store.append(creation(RUN, labels=(("team", "x"),)), 1.0)
    await store.append(creation(OTHER), 2.0)
    both = Decision(to_store=(Record(OTHER, RunStarted()), Record(RUN, RunStarted())))
    await store.append(both, 3.0)

    feed = await store.feed(0)
    rest = await store.feed(feed.entries[1].id)

    assert [(entry.run, entry.stored.position) for entry in feed.entries] == [
        (RUN, 1),
        (OTHER, 1),
        (OTHER, 2),
        (RUN, 2),
    ]
    assert [entry.id for entry in feed.entries] == sorted(entry.id for entry in feed.entries)
    assert feed.entries[0].labels == {"team": "x"}
    assert rest.entries == feed.entries[2:]
    assert feed.last_id == await store.last_id()
    assert (await store.feed(feed.last_id)).last_id == feed.last_id


async def test_an_event_that_comes_twice_is_refused_with_everything_beside_it(store: Store) -> None:
    """Keeps I1."""
    await store.append(creation(RUN), 1.0)
    await store.append(Decision(to_store=(Record(RUN, RunStarted(), "RunStarted"),)), 2.0)
    twice = Decision(to_store=(Record(RUN, StepBecameReady("docs")), Record(RUN, RunStarted(), "RunStarted")))

    with pytest.raises(RepeatedEventError):
        await store.append(twice, 3.0)

    assert [entry.position for entry in await store.events(RUN)] == [1, 2]
    assert await store.append(events(RUN, StepBecameReady("docs")), 4.0) == {RUN: 3}


async def test_a_run_is_created_once(store: Store) -> None:
    """Keeps B1."""
    await store.append(creation(RUN), 1.0)

    with pytest.raises(RepeatedEventError):
        await store.append(creation(RUN), 2.0)


async def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    """Keeps I1."""
    await store.append(creation(RUN), 1.0)
    strange = replace(events(RUN, RunStarted()), cursors=(("unknown-run-1", 4),))

    with pytest.raises(LookupError):
        await store.append(strange, 2.0)

    assert len(await store.events(RUN)) == 1
    assert (await store.run(RUN)).start_time is None


async def test_text_is_one_row_and_large_text_several(store: Store) -> None:
    await store.append(creation(RUN), 1.0)
    await store.append(attempt(RUN), 1.0)
    large = "é" * PIECE_BYTES

    await store.append(speech(RUN, "one row", cursor=2), 1.0)
    await store.append(speech(RUN, "x" + large), 1.0)

    texts = [entry for entry in await store.history(RUN, 2) if isinstance(entry, StoredOutput)]
    assert texts[0].output.text == "one row"
    assert "".join(entry.output.text for entry in texts[1:]) == "x" + large
    assert all(len(entry.output.text.encode()) <= PIECE_BYTES for entry in texts)
    ends = [entry.offset + len(entry.output.text.encode()) for entry in texts]
    assert [entry.offset for entry in texts] == [0, *ends[:-1]]


async def test_random_pieces_of_a_channel_are_the_whole(store: Store) -> None:
    """Keeps G2."""
    await store.append(creation(RUN), 1.0)
    await store.append(attempt(RUN), 1.0)
    chance = random.Random(7)
    whole = b""
    for _ in range(60):
        text = chance.choice(["plain ", "größer ", "日本語", "\N{GRINNING FACE}"]) * chance.randrange(1, 30)
        await store.append(Decision(to_store=(said(RUN, text), said(RUN, "aside", Channel.LOG))), 1.0)
        whole += text.encode()

    pieces = b""
    while len(pieces) < len(whole):
        piece, total = await store.channel(attempt_name(RUN), "answer", len(pieces), chance.randrange(1, 700))
        assert total == len(whole)
        pieces += piece

    assert hashlib.sha256(pieces).digest() == hashlib.sha256(whole).digest()
    assert await store.channel(attempt_name(RUN), "answer", len(whole), 10) == (b"", len(whole))
    assert await store.channel(attempt_name(RUN), "log", 0, 0) == (b"aside" * 60, 300)
    assert await store.channel(attempt_name(RUN), "reasoning", 0, 0) == (b"", 0)


async def test_text_without_a_utf8_form_is_kept_readable(store: Store) -> None:
    await store.append(creation(RUN), 1.0)
    await store.append(attempt(RUN), 1.0)

    await store.append(speech(RUN, "bad \ud83d end"), 1.0)

    assert await store.channel(attempt_name(RUN), "answer", 0, 0) == (b"bad ? end", 9)


async def test_text_and_names_with_nul_are_kept_to_the_byte(store: Store) -> None:
    """Keeps G2."""
    await store.append(creation(RUN, question="a\0b", labels=(("nul", "\0"), ("half", "\ud800"))), 1.0)
    await store.append(attempt(RUN), 1.0)

    await store.append(speech(RUN, "be\0hind"), 1.0)

    assert await store.channel(attempt_name(RUN), "answer", 0, 0) == (b"be\0hind", 7)
    row = await store.run(RUN)
    assert (row.plan.question, dict(row.plan.labels)) == ("a\0b", {"nul": "\0", "half": "\ud800"})
    assert (await store.feed(0)).entries[0].labels == {"nul": "\0", "half": "\ud800"}


async def test_pages_of_history_are_bounded_and_join_to_the_whole(store: Store) -> None:
    """Keeps G1."""
    await store.append(creation(RUN), 1.0)
    await store.append(attempt(RUN), 1.0)
    for number in range(40):
        await store.append(speech(RUN, f"{number:05}" * 2000), 1.0)

    pages = []
    after = 0
    while page := await store.history(RUN, after):
        pages.append(page)
        after = page[-1].position

    assert len(pages) > 1
    assert [entry.position for page in pages for entry in page] == list(range(1, 43))
    sizes = [sum(len(entry.output.text) for entry in page if isinstance(entry, StoredOutput)) for page in pages]
    assert max(sizes) <= 256 * 1024
    assert await positions(store, RUN) == list(range(1, 43))


async def test_a_history_larger_than_its_page_still_moves(store: Store) -> None:
    await store.append(creation(RUN), 1.0)

    assert len(await store.history(RUN, 0, 1)) == 1


async def test_a_request_id_is_known_as_long_as_its_run(store: Store) -> None:
    """Keeps B2."""
    await store.append(creation(RUN, request_id="one"), 1.0)
    await store.append(events(RUN, RunCancelRequested("enough", "two", "other digest")), 2.0)
    await store.append(settlement(RUN), 3.0)

    assert (await store.requests(["one"])).get("one") == StoredRequest("digest of the body", RUN)
    assert (await store.requests(["two"])).get("two") == StoredRequest("other digest", RUN)
    assert await store.requests(["three"]) == {}


async def test_a_request_id_is_stored_once(store: Store) -> None:
    """Keeps B2."""
    await store.append(creation(RUN, request_id="one"), 1.0)

    with pytest.raises(RepeatedEventError):
        await store.append(creation(OTHER, request_id="one"), 2.0)

    with pytest.raises(NotFoundError):
        await store.events(OTHER)


async def test_a_blob_is_read_through_a_run_that_names_it(store: Store) -> None:
    """Keeps A9."""
    await store.append(creation(RUN), 1.0)
    await store.append(creation(OTHER), 1.0)
    digest = plan(RUN).bundle

    assert await store.blob(RUN, digest) == b"bundle"
    assert await store.blob(OTHER, digest) == b"bundle"
    with pytest.raises(NotFoundError):
        await store.blob(RUN, blob(b"never seen").digest)


async def test_unfinished_runs_come_back_with_events_and_cursors(store: Store) -> None:
    """Keeps I3."""
    await store.append(creation(OTHER), 1.0)
    await store.append(settlement(OTHER), 2.0)
    await store.append(creation(RUN), 3.0)
    await store.append(attempt(RUN), 4.0)
    await store.append(speech(RUN, "text", cursor=7), 5.0)

    (stored,) = await store.unfinished()

    assert stored.run == RUN
    assert stored.damage == ""
    assert stored.events == tuple(await store.events(RUN))
    assert [entry.position for entry in stored.events] == [1, 2]
    assert stored.cursors == {attempt_name(RUN): 7}


async def test_of_some_names_it_is_told_which_are_runs(store: Store) -> None:
    for number in (1, 2):
        await store.append(creation(run_name(number)), 1.0)

    assert await store.known_runs({run_name(1), run_name(3), "", "'"}) == {run_name(1)}
    assert await store.known_runs(()) == frozenset()


async def test_the_next_process_is_told_of_the_time_and_of_runs_at_work(store: Store) -> None:
    assert await store.past() == Past()
    await store.append(creation(RUN), 1.0)
    await store.append(attempt(RUN), 2.5)
    await store.keep_offset("a boot", 1e9 + 0.1)
    working = await store.past()
    await store.append(settlement(RUN), 3.0)
    await store.keep_offset("another boot", 7.0)

    assert working == Past(2.5, is_at_work=True, boot="a boot", offset=1e9 + 0.1)
    assert await store.past() == Past(3.0, is_at_work=False, boot="another boot", offset=7.0)


async def test_what_is_unknown_is_not_found(store: Store) -> None:
    for reading in (store.events(RUN), store.history(RUN, 0), store.run(RUN), store.findings(RUN, 10)):
        with pytest.raises(NotFoundError, match=f"no run '{RUN}'"):
            await reading
    with pytest.raises(NotFoundError):
        await store.channel(attempt_name(RUN), "answer", 0, 0)
    with pytest.raises(LookupError):
        await store.append(events(RUN, StepSkipped("a", "b")), 1.0)
