"""Provides the parts of every benchmark: alternating rounds, medians with their spread, goals, tables, JSON.

The machine is shared and noisy, so only what stands side by side in one run compares: contenders take turns, every other
round in the opposite order, and a ratio is the median of the ratios of each round. It measures nothing itself and asserts
no time; what must hold whatever the speed (`must`) makes a benchmark fail.
"""

import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

Sample = Mapping[str, float]
Contender = Callable[[], Awaitable[Sample]]


class BrokenPromiseError(Exception):
    """Something that must hold at any speed did not (for example, output was lost), so the benchmark is worth nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity in one unit, once per round (or once per event)."""

    what: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        """Returns the least and the most; of more than ten values the middle nine tenths, so that one hiccup is not the spread."""
        ordered = sorted(self.values)
        cut = len(ordered) // 20 if len(ordered) > 10 else 0
        return f"{digits(ordered[cut])} to {digits(ordered[len(ordered) - 1 - cut])}"


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal of the design, and whether it was met."""

    what: str
    measured: float
    wanted: float
    is_most: bool  # the goal is to stay below
    unit: str = ""

    @property
    def is_met(self) -> bool:
        return self.measured <= self.wanted if self.is_most else self.measured >= self.wanted


@dataclass(frozen=True, slots=True)
class Table:
    """Figures that belong together: a row for each level of something."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> list[str]:
        lines = (self.head, ("---:",) * len(self.head), *self.rows)
        return ["", f"{self.title}:", "", *(f"| {' | '.join(cells)} |" for cells in lines)]


@dataclass(slots=True)
class Report:
    """The results of a benchmark."""

    name: str
    title: str
    is_short: bool
    is_of_engines: bool = False  # ours on each database, and not beside others
    figures: list[Figure] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, what: str, unit: str, values: Iterable[float]) -> None:
        self.figures.append(Figure(what, unit, tuple(values)))

    def at_least(self, what: str, measured: float, wanted: float, unit: str = "") -> None:
        self.goals.append(Goal(what, measured, wanted, is_most=False, unit=unit))

    def at_most(self, what: str, measured: float, wanted: float, unit: str = "") -> None:
        self.goals.append(Goal(what, measured, wanted, is_most=True, unit=unit))

    def remark(self, text: str) -> None:
        self.remarks.append(text)

    def as_json(self) -> dict[str, Any]:
        figures = [asdict(figure) | {"median": figure.median} for figure in self.figures]
        goals = [asdict(goal) | {"is_met": goal.is_met} for goal in self.goals]
        return asdict(self) | {"figures": figures, "goals": goals}

    def markdown(self) -> str:
        lines = [f"### {self.name}: {self.title}", "", "| what | median | spread | n |", "|---|---:|---:|---:|"]
        lines += [
            f"| {one.what} | {digits(one.median)} {one.unit} | {one.spread} | {len(one.values)} |"
            for one in self.figures
        ]
        for table in self.tables:
            lines += table.markdown()
        if self.goals and not self.is_short:
            lines += ["", "| goal | wanted | measured | |", "|---|---:|---:|---|"]
            lines += [
                f"| {one.what} | {'≤' if one.is_most else '≥'} {digits(one.wanted)}{one.unit} "
                f"| {digits(one.measured)}{one.unit} | {'met' if one.is_met else '**missed**'} |"
                for one in self.goals
            ]
        if self.remarks:
            lines += ["", *(f"- {remark}" for remark in self.remarks)]
        return "\n".join(lines) + "\n"


def must(condition: bool, promise: str) -> None:  # noqa: FBT001 - it reads like assert, and python -O must not drop it
    if not condition:
        raise BrokenPromiseError(promise)


async def alternate(rounds: int, contenders: Mapping[str, Contender]) -> dict[str, dict[str, list[float]]]:
    """Lets the contenders take turns. Returns, by contender and by figure, a value per round."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in contenders}
    order = list(contenders)
    for _ in range(rounds):
        for name in order:
            for figure, value in (await contenders[name]()).items():
                found[name].setdefault(figure, []).append(value)
        order.reverse()
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Returns how many times theirs ours is: the median over the rounds, each compared with its own neighbour."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def digits(value: float) -> str:
    """Writes three significant digits and whole thousands: no more is known."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """Describes the machine, for readers who compare two files."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, check=False)
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit.stdout.decode().strip(),
        "processors": os.cpu_count(),
        "processor": models[0] if models else platform.machine(),
        "load_before": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "argv": sys.argv[1:],
    }


def write_json(file: Path, about: Mapping[str, Any], reports: Sequence[Report]) -> None:
    document = {"machine": about, "benchmarks": [report.as_json() for report in reports]}
    file.write_text(json.dumps(document, indent=1) + "\n")


def write_markdown(file: Path, about: Mapping[str, Any], reports: Sequence[Report]) -> None:
    where = (
        f"`./dev bench {' '.join(about['argv'])}` at {about['commit']}, {about['time']}: {about['processors']} processors "
        f"({about['processor']}), Linux {about['kernel']}, Python {about['python']}, SQLite {about['sqlite']}. "
        f"The machine's load before was {about['load_before']:.1f}"
    )
    quiet = (
        "."
        if about["load_before"] < 1
        else ", so that others took part of it: only ratios within a table mean something."
    )
    file.write_text("\n".join(["# Measured", "", where + quiet, "", *(one.markdown() for one in reports)]))
