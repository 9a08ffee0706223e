"""A short name of a run means one run of all that there are, or none. Keeps B16, K2."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from conductor.cli.text.failure import CommandError
from conductor.cli.text.names import PAGE_RUNS, run_name, step_name
from conductor.v1 import run_service_pb2

if TYPE_CHECKING:
    from conductor.cli.connection import Connection

IDS = [f"01m{number:020d}abc" for number in range(700, 0, -1)] + [
    "01m7zzzzzzzzzzzzzzzzzz9sdx",
    "9sdx00000000000000000009s0",
]


class _Runs:
    """Lists runs by pages, as a conductor does."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids

    def ListRuns(self, request: run_service_pb2.ListRunsRequest, timeout: float) -> Any:  # noqa: N802
        assert timeout > 0
        begin = int(request.page_token or 0)
        end = begin + request.page_size
        runs = [run_service_pb2.Run(name=f"runs/{each}") for each in self._ids[begin:end]]
        token = str(end) if end < len(self._ids) else ""
        return run_service_pb2.ListRunsResponse(runs=runs, next_page_token=token)


def _named(given: str, ids: list[str] = IDS, *, changes: bool = False) -> str:
    connection = cast("Connection", SimpleNamespace(runs=_Runs(ids)))
    return run_name(connection, given, changes=changes).removeprefix("runs/")


def test_a_run_of_any_page_is_found_by_a_part_of_its_id() -> None:
    assert len(IDS) > PAGE_RUNS
    assert _named("01m7zz") == IDS[-2]
    assert _named("0009S0", changes=True) == IDS[-1]


def test_a_beginning_and_an_end_of_two_runs_are_two_meanings() -> None:
    """Keeps B16: among 702 runs, nothing that changes a run takes either of two."""
    with pytest.raises(CommandError, match="'9sdx' means 2 runs") as told:
        _named("9sdx", changes=True)

    assert told.value.lines[:2] == (f"runs/{IDS[-2]}", f"runs/{IDS[-1]}")


def test_what_changes_a_run_takes_no_slip_of_a_name() -> None:
    assert _named("9s0") == IDS[-1]
    with pytest.raises(CommandError, match="at least 4 characters"):
        _named("9s0", changes=True)


def test_last_is_the_newest() -> None:
    assert _named("last", changes=True) == IDS[0]
    with pytest.raises(CommandError, match="there is no run yet"):
        _named("last", [])


NESTED = {
    "a": {"spine": "b", "each.0": "b", "each.0.near": ""},
    "b": {"judged": "", "judged.0.judge": "", "judged.1.ask": "c"},
    "c": {"last": ""},
}


class _Nested:
    """Holds a run whose step `spine` and whose item `each.0` run sub-runs."""

    def GetRun(self, request: run_service_pb2.GetRunRequest, timeout: float) -> Any:  # noqa: N802
        assert timeout > 0
        letter = request.name[-1]
        steps = [
            run_service_pb2.Step(name=f"{request.name}/steps/{name}", sub_run=sub_run and f"runs/{sub_run * 26}")
            for name, sub_run in NESTED[letter].items()
        ]
        return run_service_pb2.Run(name=request.name, steps=steps)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("spine", "a/spine"),
        ("spine.judged.0.judge", "b/judged.0.judge"),
        ("each.0.judged", "b/judged"),
        ("each.0.near", "a/each.0.near"),
        ("spine.judged.1.ask.last", "c/last"),
    ],
)
def test_a_path_as_reports_name_it_leads_into_sub_runs(path: str, found: str) -> None:
    """Keeps B13."""
    connection = cast("Connection", SimpleNamespace(runs=_Nested()))
    run, _, step = found.partition("/")

    assert step_name(connection, run_id("a"), path) == f"runs/{run_id(run)}/steps/{step}"
    with pytest.raises(CommandError, match="there is no step 'nothing'"):
        step_name(connection, run_id("a"), "spine.nothing")


def run_id(letter: str) -> str:
    return letter * 26
