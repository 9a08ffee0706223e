"""Measures the conductor's pure core with many hosts and agents at work: decisions, memory and recovery, in processor time.

Each run has a hundred agents at work on ten hosts' slots, and ten steps that wait. Its events are those that the core decided for
ten hosts alone; all runs together are folded, and every host is reported. Nothing is stored and no process starts, so this is the
core's own limit. A size whose cost is foreseen to exceed the bound is left out, and told.
"""

import gc
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring import Report, must
from conductor.core.decide.advance import advance
from conductor.core.decide.recover import recover, restore
from conductor.core.folded.run import Run, fold
from conductor.core.model.commands import StartExecution
from conductor.core.model.conductor_state import ConductorState, Limits
from conductor.core.model.events.event_parts import Confinement
from conductor.core.model.events.run_events import Event
from conductor.core.model.inputs import (
    AgentFinished,
    AgentStarted,
    ExecutionReported,
    HostAgent,
    HostReported,
    Input,
    WorkFinished,
)
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState
from conductor.core.model.work import Work, WorkKind, WorkResult
from tests.conductor.core.bench import ANSWERS, Bench, asks
from tests.conductor.core.workload import name_of

AGENTS, WAITING, HOSTS, SLOTS = 100, 10, 10, 10  # of a run
RUNS = (10, 100, 1000)
MOST_SECONDS = 240.0  # of processor time, for one size
GROWTH = 10.0  # of the cost from a size to the next
DECISIONS, DECIDING_SECONDS = 100, 20.0
NOW = 2000.0


async def measure(report: Report) -> None:
    spent, sizes = 0.0, (1,) if report.is_short else RUNS
    _measure_memory(report, sizes[0])
    for runs in sizes:
        if spent * GROWTH > MOST_SECONDS:
            report.remark(
                f"stops before {_title(runs)}: that would take about {spent * GROWTH:,.0f} s of the processor"
            )
            break
        begun = time.process_time()
        _measure_size(report, runs)
        spent = time.process_time() - begun


def _title(runs: int) -> str:
    return f"{runs * HOSTS:,} hosts, {runs * AGENTS:,} agents"


def _measure_memory(report: Report, runs: int) -> None:
    """Counts what stays allocated; the larger sizes tell their resident memory only."""
    tracemalloc.start()
    limits = _limits(runs)
    state, _, _ = _fold(runs, limits)
    folded = _allocated()
    state = _report_hosts(state, runs)
    with_hosts = _allocated()
    tracemalloc.stop()
    must(len(state.hosts) == runs * HOSTS, "every host is known")
    report.add(
        "memory of an agent at work, with its step and its part of the run", "KiB", [folded / runs / AGENTS / 1024]
    )
    report.add("memory of a host", "KiB", [max(with_hosts - folded, 0) / runs / HOSTS / 1024])


def _allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _measure_size(report: Report, runs: int) -> None:
    title, limits = _title(runs), _limits(runs)
    before = _resident()
    state, events, folding = _fold(runs, limits)
    begun = time.process_time()
    must(len(recover(state)) >= runs * AGENTS, "a command for every agent at work follows from what is stored")
    state = _report_hosts(state, runs)
    deciding = time.process_time() - begun
    report.add(f"{title}: resident memory of the state", "MiB", [(_resident() - before) / 2**20])
    report.add(f"{title}: folding {events:,} events again", "s", [folding])
    report.add(f"{title}: from the folded runs until every host is known and every step looked at", "s", [deciding])
    state, said = _decide(state, runs, _speak)
    report.add(f"{title}: decisions after an agent's words", "/s", [1 / one for one in said])
    _, ended = _decide(state, runs, _end)
    report.add(f"{title}: decisions when an agent ends and the next is placed", "/s", [1 / one for one in ended])


def _limits(runs: int) -> Limits:
    return Limits(unfinished_runs=runs, hosts=runs * HOSTS, attempts=runs * AGENTS)


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _fold(runs: int, limits: Limits) -> tuple[ConductorState, int, float]:
    """Returns the state that follows from the events, how many they are, and what folding and restoring took."""
    folded: dict[str, Run] = {}
    cursors: dict[str, int] = {}
    events, took = 0, 0.0
    for number in range(runs):
        journal, of_run = _play(number)
        cursors |= of_run
        begun = time.process_time()
        folded[name_of(number)] = fold(journal)
        took += time.process_time() - begun
        events += len(journal)
    begun = time.process_time()
    state = restore(folded, cursors, NOW, limits=limits)
    return state, events, took + time.process_time() - begun


def _play(number: int) -> tuple[list[tuple[Event, float]], dict[str, int]]:
    """Returns the events and cursors of one run whose agents are at work, as the core decides them on ten hosts."""
    table, run = Bench(), name_of(number)
    table.take(*_hosts(number))
    names = [f"s{step}" for step in range(AGENTS + WAITING)]
    table.launch(*map(asks, names), run=run)
    prompts = (Work(run, WorkKind.PROMPT, name) for name in names)
    table.take(*(WorkFinished(WorkResult(work, ANSWERS[WorkKind.PROMPT])) for work in prompts))
    live = list(table.state.ongoing[run].tracks)
    must(len(live) == AGENTS, "every slot has an agent")
    table.take(*(ExecutionReported(one, 1, 1, (AgentStarted(Confinement()),)) for one in live))
    return [(event, table.now) for _, event in table.events], table.cursors


def _hosts(number: int) -> list[Input]:
    names = (f"h{number * HOSTS + one}" for one in range(HOSTS))
    return [HostReported(name, True, False, SLOTS, (HostAgent("survey"),)) for name in names]  # noqa: FBT003


def _report_hosts(state: ConductorState, runs: int) -> ConductorState:
    """Reports every host, and lets the core decide until it has nothing left to look at."""
    inputs = [host for number in range(runs) for host in _hosts(number)]
    decision, state = advance(state, inputs, NOW)
    while state.unscheduled or state.backlog or any(one.dirty for one in state.ongoing.values()):
        must(bool(decision.to_store), "each decision gets further")
        decision, state = advance(state, (), NOW)
    return state


def _decide(
    state: ConductorState, runs: int, say: Callable[[ConductorState, str], ExecutionReported]
) -> tuple[ConductorState, list[float]]:
    """Lets an agent of one run after the other say something. Returns the processor seconds of each decision."""
    took: list[float] = []
    gc.collect()
    for number in range(DECISIONS):
        one = say(state, name_of(number % runs))
        begun = time.process_time()
        decision, state = advance(state, (one,), NOW)
        took.append(time.process_time() - begun)
        begins = sum(isinstance(command, StartExecution) for command in decision.to_send)
        must(begins == (say is _end and number < runs * WAITING), "an agent that ends makes place for one")
        if sum(took) > DECIDING_SECONDS or (say is _end and number + 1 == runs * WAITING):
            break
    return state, took


def _speak(state: ConductorState, run: str) -> ExecutionReported:
    attempt, track = next(iter(state.ongoing[run].tracks.items()))
    return ExecutionReported(attempt, track.cursor + 1, track.cursor + 1, (Output(attempt, Channel.ANSWER, "words"),))


def _end(state: ConductorState, run: str) -> ExecutionReported:
    spoken = _speak(state, run)
    return replace(spoken, reports=(AgentFinished(AttemptState.SUCCEEDED),))
