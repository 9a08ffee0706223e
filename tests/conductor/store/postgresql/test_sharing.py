"""Several conductors on one schema: the lease by the server's clock, the fence, notices. Keeps K15."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from conductor.core.lease.model import Ask, Lease, Question
from conductor.errors import DatabaseMovedError, StorageError, StoreLostError, SupersededError
from conductor.store.postgresql import connection as connections
from conductor.store.postgresql.address import DatabaseAddress
from conductor.store.postgresql.sharing import notices
from conductor.store.postgresql.sharing.notices import Listener
from conductor.store.postgresql.sharing.store import SharedPostgresqlStore
from conductor.store.raw import Move
from conductor.store.shared import Claim
from tests.conductor.store.material import creation, run_name

STORM = """
import psycopg, sys
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    while True:
        connection.execute("SELECT pg_notify('conductor', repeat('x', 7900) || i) FROM generate_series(1, 200) i")
"""
pytestmark = pytest.mark.processes

Open = Callable[[], Awaitable[SharedPostgresqlStore]]


@pytest.fixture
async def open_store(database: str) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened() -> SharedPostgresqlStore:
            return await stack.enter_async_context(await SharedPostgresqlStore.open_shared(database))

        yield opened


async def ask(
    store: SharedPostgresqlStore, question: Question, epoch: int = 0, holder: str = "one", seconds: float = 30.0
) -> Lease:
    return await store.ask_lease(Ask(question, epoch), Claim(holder, seconds, f"unix:/{holder}"))


async def led(store: SharedPostgresqlStore, holder: str = "one", seconds: float = 30.0) -> int:
    seen = await ask(store, Question.LOOK)
    taken = await ask(store, Question.TAKE, seen.epoch, holder, seconds)
    assert taken.holder == holder
    await store.lead(taken.epoch)
    return taken.epoch


async def test_opening_as_a_standby_raises_no_epoch(open_store: Open) -> None:
    stores = [await open_store() for _ in range(3)]

    assert len({store.conductor_id for store in stores}) == 1
    assert await ask(stores[0], Question.LOOK) == Lease("", 0, 0.0)
    with pytest.raises(StoreLostError):
        await stores[0].append(creation(run_name(1)), 1.0)


async def test_a_lease_is_held_renewed_given_away_and_taken_again(open_store: Open) -> None:
    store = await open_store()
    taken = await ask(store, Question.TAKE)
    assert (taken.holder, taken.epoch, taken.address) == ("one", 1, "unix:/one")
    assert 29.0 < taken.left <= 30.0

    assert (await ask(store, Question.TAKE, 1, "two")).holder == "one"
    assert (await ask(store, Question.RENEW, 1, seconds=50.0)).left > 45.0
    assert (await ask(store, Question.RENEW, 1, "two", seconds=90.0)).left < 51.0
    assert (await ask(store, Question.GIVE_AWAY, 1, "two")).holder == "one"
    assert (await ask(store, Question.GIVE_AWAY, 1)).left == 0.0
    assert (await ask(store, Question.RENEW, 1)).left == 0.0, "what was given away is not renewed"
    assert (await ask(store, Question.TAKE, 0, "two")).holder == "", "a question that came late saw another epoch"
    assert (await ask(store, Question.TAKE, 1, "two")).epoch == 2


async def test_only_the_servers_clock_ends_a_lease(open_store: Open) -> None:
    store = await open_store()
    await ask(store, Question.TAKE, seconds=0.3)

    assert (await ask(store, Question.TAKE, 1, "two")).holder == "one"
    await asyncio.sleep(0.31)
    assert (await ask(store, Question.RENEW, 1)).left == 0.0, "a lease that ran out is not renewed"
    assert (await ask(store, Question.TAKE, 1, "two")).holder == "two"


async def test_a_standby_of_a_database_that_was_moved_leads_it_no_more_and_knows_where_it_went(
    open_store: Open, database: str
) -> None:
    standby = await open_store()
    with psycopg.connect(database) as connection:
        move = Move("/elsewhere", standby.conductor_id, 1)
        connection.execute("UPDATE conductor.meta SET moved = %s", (move.encode(),))

    for question in (Question.LOOK, Question.TAKE):
        with pytest.raises(DatabaseMovedError, match="was moved to /elsewhere") as caught:
            await ask(standby, question)
    assert "conductor serve --data /elsewhere" in caught.value.hint


async def test_a_superseded_conductor_stores_nothing_more(open_store: Open) -> None:
    """The fence is the first statement of each transaction, and a takeover changes the same row."""
    one, two = await open_store(), await open_store()
    await led(one, seconds=0.1)
    await one.append(creation(run_name(1)), 1.0)
    await asyncio.sleep(0.11)
    await led(two, "two")

    with pytest.raises(SupersededError):
        await one.append(creation(run_name(2)), 2.0)
    with pytest.raises(SupersededError):
        await one.keep_tokens(())
    await one.keep_presence(b"old")
    assert await two.known_runs((run_name(1), run_name(2))) == {run_name(1)}
    assert await two.presence() == b""
    await two.keep_presence(b"new")
    assert await one.presence() == b"new"


async def test_a_holder_that_stands_still_in_a_transaction_is_ended(open_store: Open, database: str) -> None:
    """It keeps the row of the lease locked; a second after its lease ran out, its backend is ended."""
    one, two = await open_store(), await open_store()
    await led(one, seconds=0.1)
    assert one._writing is not None
    await one._writing.execute("SET idle_in_transaction_session_timeout = 0")
    await one._writing.execute("BEGIN")
    await one._writing.execute("UPDATE meta SET last_id = last_id")
    await asyncio.sleep(0.11)

    begun = time.monotonic()
    taken = await ask(two, Question.TAKE, 1, "two")

    assert (taken.holder, taken.epoch) == ("two", 2)
    assert 0.9 < time.monotonic() - begun < 5.0
    with pytest.raises(StoreLostError):
        await one.append(creation(run_name(1)), 1.0)


@pytest.mark.parametrize("notifies", [True, False])
async def test_watchers_of_a_standby_wake_with_and_without_notices(open_store: Open, *, notifies: bool) -> None:
    """Correctness never depends on NOTIFY: a sweep finds what was stored."""
    one, two = await open_store(), await open_store()
    await led(one)
    tasks = [asyncio.create_task(one.hear_others() if notifies else asyncio.Event().wait())]
    tasks.append(asyncio.create_task(two.hear_others()))
    await asyncio.sleep(0.3)
    with two.watch(run_name(1)) as watcher:
        waiting = asyncio.create_task(watcher.changed())
        await asyncio.sleep(0)
        begun = time.monotonic()
        await one.append(creation(run_name(1)), 1.0)
        await asyncio.wait_for(waiting, 3.0)
        took = time.monotonic() - begun
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    assert took < (0.6 if notifies else 2.5)
    assert (await two.history(run_name(1), 0))[0].position == 1


@pytest.mark.long
async def test_a_storm_of_notices_is_cut_off_and_later_ones_are_heard(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that sends notices without a pause answers no question, and what it sends would fill the memory."""
    monkeypatch.setattr(notices, "ANSWER_SECONDS", 0.2)
    await (await SharedPostgresqlStore.open_shared(database)).close()
    heard = asyncio.Queue[list[str]]()
    storm = await asyncio.create_subprocess_exec(sys.executable, "-c", STORM, database)
    with capture_logs() as logs:
        listening = asyncio.create_task(Listener(DatabaseAddress.read(database), heard.put_nowait).run())
        async with asyncio.timeout(20):
            while not any(line["event"] == "listening_failed" for line in logs):
                await asyncio.sleep(0.05)
            storm.kill()
            await storm.wait()
            with psycopg.connect(database, autocommit=True) as connection:
                while await heard.get() != ["calm"]:
                    connection.execute("NOTIFY conductor, 'calm'")
        listening.cancel()


async def test_what_the_ring_held_is_forgotten_with_the_lease(open_store: Open) -> None:
    """It may hold what is not stored: a text whose COMMIT was never answered."""
    store = await open_store()
    await led(store)
    with store.watch(run_name(1)):
        await store.append(creation(run_name(1)), 1.0)
        assert store._recent.after(run_name(1), 0, 1_000_000)
        await store.follow()
        assert store._recent.after(run_name(1), 0, 1_000_000) is None
        await led(store)
        assert store.epoch == 2


async def test_a_statement_that_is_not_answered_does_not_hold_up_the_next(open_store: Open) -> None:
    store = await open_store()
    await ask(store, Question.LOOK)

    async def sleep(connection: Any) -> None:
        await connection.execute("SELECT pg_sleep(30)")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await store._line.run(sleep)
    begun = time.monotonic()
    assert (await ask(store, Question.LOOK)).left == 0.0
    assert time.monotonic() - begun < 2.0


@contextmanager
def standing_still(database: str) -> Iterator[None]:
    """Stops every backend of a database: it answers nothing, and breaks no connection."""
    with psycopg.connect(database) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        found = connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {others}".encode()).fetchall()  # noqa: S608
    try:
        for (pid,) in found:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for (pid,) in found:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("leads", [True, False])
async def test_a_conductor_ends_while_the_server_stands_still(database: str, *, leads: bool) -> None:
    """SIGTERM would otherwise be waited for until the server goes on."""
    store = await SharedPostgresqlStore.open_shared(database)
    if leads:
        await led(store)
    await store.last_id()
    with standing_still(database):
        reading = asyncio.ensure_future(store.last_id())
        await asyncio.sleep(0.05)
        await asyncio.wait_for(store.close(), 8)

    with pytest.raises(StorageError):
        await reading


async def test_a_read_ends_while_the_server_stands_still(
    open_store: Open, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.2)
    store = await open_store()
    await store.last_id()
    with standing_still(database):
        assert await asyncio.wait_for(store.last_id(), 8) == 0, "on a new connection, as after any break"


async def test_a_server_that_is_gone_is_said(open_store: Open, database: str) -> None:
    store = await open_store()
    await ask(store, Question.LOOK)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StorageError):
        await ask(store, Question.LOOK)
    assert (await ask(store, Question.LOOK)).epoch == 0, "the next question is asked on a new connection"


async def test_a_lost_connection_is_noticed_while_nothing_is_stored(open_store: Open, database: str) -> None:
    """Else only callers would hear of it, and the engine go on with nothing to do."""
    store = await open_store()
    await led(store)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(writer_pid, 5000) FROM conductor.meta")

    with pytest.raises(StoreLostError):
        await asyncio.wait_for(store.hold(), 10)
