"""Each benchmark in its short form, as a developer types it: it works, loses nothing, and writes what it found. Keeps J3.

Whether anything is fast is not asked here: `./dev bench` on a quiet machine tells.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import TITLES
from benchmarks.measuring import Contender, Report, alternate, digits, ratio

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.soak
@pytest.mark.timeout(200)
# Of those that run on either engine, one stands for the others: end-to-end tests run on PostgreSQL, too.
@pytest.mark.parametrize("asked", [*TITLES, "store --store postgresql"])
def test_a_benchmark_s_short_form_keeps_its_promises_and_tells_every_figure(asked: str, tmp_path: Path) -> None:
    name, *options = asked.split()
    kept = (*options, "--json", str(tmp_path / "found.json"), "--markdown", str(tmp_path / "found.md"))
    command = [sys.executable, "-m", "benchmarks", name, "--short", *kept]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=190, check=False)

    assert done.returncode == 0, done.stderr
    (found,) = json.loads((tmp_path / "found.json").read_text())["benchmarks"]
    assert found["name"] == name
    assert len(found["figures"]) >= 3
    assert (tmp_path / "found.md").read_text().endswith(done.stdout.rstrip("\n") + "\n")
    for figure in found["figures"]:
        assert f"| {figure['what']} | " in done.stdout
        assert all(map(math.isfinite, figure["values"]))


def test_an_unknown_benchmark_is_refused_with_the_names_of_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "speed"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 2
    assert f"there are {', '.join(TITLES)}" in done.stderr


async def test_contenders_take_turns_and_change_places_each_round() -> None:
    order: list[str] = []

    def contender(name: str) -> Contender:
        async def once() -> dict[str, float]:
            order.append(name)
            return {"value": float(len(order))}

        return once

    found = await alternate(3, {"ours": contender("ours"), "theirs": contender("theirs")})

    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert found == {"ours": {"value": [1, 4, 5]}, "theirs": {"value": [2, 3, 6]}}


def test_a_ratio_compares_neighbours_so_that_a_slow_minute_of_the_machine_weighs_on_both() -> None:
    assert ratio([100, 10, 50], [50, 5, 20]) == 2


def test_a_report_says_what_is_missed_but_judges_no_short_form() -> None:
    long, short = (Report("x", "a title", is_short) for is_short in (False, True))
    for report in (long, short):
        report.add("a thing", "ms", [1, 2, 9])
        report.at_most("a thing", 2, 1, " ms")
        report.at_least("another", 3, 2.5)

    assert "| a thing | 2 ms | 1 to 9 | 3 |" in long.markdown()
    assert "| a thing | ≤ 1 ms | 2 ms | **missed** |" in long.markdown()
    assert "| another | ≥ 2.5 | 3 | met |" in long.markdown()
    assert "missed" not in short.markdown()
    assert [goal["is_met"] for goal in long.as_json()["goals"]] == [False, True]


def test_figures_show_three_digits() -> None:
    assert [digits(value) for value in (1234567.8, 999.6, 12.345, 0.001234)] == [
        "1,234,568",
        "1,000",
        "12.3",
        "0.00123",
    ]
