"""Rules for all tests: those that start processes say so, quick ones come last, and none ends outside its event loop."""

import asyncio
import functools
import gc
import inspect
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest
import structlog

if TYPE_CHECKING:
    from tests.kit.databases import Databases

STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"})
# How long a test has to end what it started, before its time limit interrupts it wherever it is.
END_SECONDS = 5.0
_started: list[str] = []
# A job in a shell's background ignores SIGINT, and what the tests start inherits that: `conductor up` would not stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# No test asserts a time: its own limit is enough for a machine that is busy.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTS:
        _started.append(f"{event}{arguments[:2]}")


sys.addaudithook(_note)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Lets several workers end together: the quick modules come last, so none waits long for another's last one."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("processes") is None)
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            marker = item.get_closest_marker("timeout")
            limit = marker.args[0] if marker else float(config.getini("timeout"))
            item.obj = _within(item.obj, limit - END_SECONDS)


def pytest_collection_finish() -> None:
    """Leaves the nine thousand collected tests out of every later collection of garbage."""
    gc.collect()
    gc.freeze()


def _within(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    """Cancels a test that takes too long. The interruption by a signal leaves its tasks to a loop that waits for them for ever."""

    @functools.wraps(test)
    async def limited(**fixtures: object) -> None:
        async with asyncio.timeout(seconds):
            await test(**fixtures)

    return limited


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    _started.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fails a fast test that started a process, in its fixtures or in itself, and a test that redirected the logs of all."""
    result = yield
    if _started and not item.get_closest_marker("processes"):
        pytest.fail(
            f"this test started a process, so it is not fast: {_started[0]}. "
            "Write `pytestmark = pytest.mark.processes` into its module.",
            pytrace=False,
        )
    if structlog.get_config()["cache_logger_on_first_use"]:
        structlog.reset_defaults()
        pytest.fail("this test sent the logs of all tests to its own stderr: configure logs in another process")
    return result


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> "Databases":
    """Databases on one PostgreSQL, which all workers share. The test is skipped where none is to be had."""
    from tests.kit.databases import Databases
    from tests.kit.postgresql import share

    root = tmp_path_factory.getbasetemp()
    return Databases(share(root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root))


@pytest.fixture
def database(databases: "Databases") -> Iterator[str]:
    """The URL of an empty database."""
    url = databases.take()
    yield url
    databases.give_back(url)
