"""A start waits for a shared database that is away, says so once, and not for ever. Keeps K5 and K15."""

import asyncio

import pytest
from structlog.testing import capture_logs

from conductor.errors import DatabaseAwayError, StorageError
from conductor.store import away
from conductor.store.away import open_when_there


class Server:
    """A server that fails so often before it opens."""

    def __init__(self, *failures: StorageError) -> None:
        self.failures = list(failures)

    async def open(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "opened"


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(away, "PAUSE_SECONDS", 0.01)


async def test_it_opens_when_the_server_is_there_and_says_once_that_it_waits() -> None:
    gone = [DatabaseAwayError("cannot connect", hint="look at it") for _ in range(3)]

    with capture_logs() as logs:
        assert await open_when_there(Server(*gone).open, asyncio.Event(), 60.0) == "opened"

    assert [(line["event"], line["error"], line["hint"], line["waits_seconds"]) for line in logs] == [
        ("database_away", "cannot connect", "look at it", 60.0)
    ]


async def test_what_does_not_pass_by_itself_ends_the_start_at_once() -> None:
    with pytest.raises(StorageError, match="password"):
        await open_when_there(Server(StorageError("password")).open, asyncio.Event(), 60.0)


@pytest.mark.parametrize("is_stopped", [True, False])
async def test_the_wait_ends_with_its_time_and_with_sigterm(*, is_stopped: bool) -> None:
    stop = asyncio.Event()
    server = Server(*(DatabaseAwayError("cannot connect") for _ in range(1000)))
    if is_stopped:
        stop.set()

    with pytest.raises(DatabaseAwayError):
        await open_when_there(server.open, stop, 0.05)
    assert len(server.failures) == 999 if is_stopped else len(server.failures) < 999
