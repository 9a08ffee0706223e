"""Tells tests that start processes from those that do not: the marker cannot be forgotten, and the quick ones come last."""

import sys
from collections.abc import Generator

import pytest

STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"})
_started: list[str] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTS:
        _started.append(f"{event}{arguments[:2]}")


sys.addaudithook(_note)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Lets several workers end together: the quick modules come last, so none waits long for another's last one."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("processes") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    _started.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fails what started a process, in its fixtures or in itself, and is among the fast tests."""
    result = yield
    if _started and not item.get_closest_marker("processes"):
        pytest.fail(
            f"this test started a process, so it is not fast: {_started[0]}. "
            "Write `pytestmark = pytest.mark.processes` into its module.",
            pytrace=False,
        )
    return result
