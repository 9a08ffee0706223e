"""Measures agents → host → conductor → database → watcher: tokens a second, and how late one is. Goals 2 and 3.

A token is five bytes. Each agent is a real process in its sandbox under its shim; all wait until the last of them is there
and begin at one instant, so that starting them is not measured. For the rate they write token by token, as agents stream,
as fast as it is taken, and as much as an answer may hold, or enough for seconds. That is as much a measure of writing and
reading pipes, which all three relays do, so larger writes are measured beside it. For the latency 50 agents write 50
tokens a second, each with the time of its write in it: what counts is the watcher's receipt.

Beside ours: bare sockets through as many processes, which store nothing and confine no agent, and the naive relay that gives
each token a message and a commit. The bytes that a watcher received must be those that were said, to the last one.
"""

import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import relays
from benchmarks.engines import ENGINES, POSTGRESQL, SQLITE, engines
from benchmarks.measuring import Report, Sample, alternate, must, percentile, ratio
from benchmarks.relays import Heard, Load
from benchmarks.services import pair, why_no_sandbox
from tests.kit import flows

ROUNDS = 3
TRIES = 6
RATE_LOADS = (Load(1, 400_000), Load(20, 200_000), Load(100, 40_000), Load(20, 384_000, at_once=64))
NAIVE_TOKENS = 4000
READY = b"here "
OURS, BARE, NAIVE = "ours, stored", "bare sockets, not stored", "a message and a commit per token"
BLOCK = b"".join(b"%04d " % number for number in range(64))

Relay = Callable[[Load, float], Awaitable[Heard]]


async def begun_together(relay: Relay, load: Load) -> Heard:
    """Runs a relay until all agents were there at the start."""
    lead = 0.6 + load.agents * 0.06
    for _ in range(TRIES):
        heard = await relay(load, time.time() + lead)
        if heard.were_all_there(load.agents):
            return heard
        lead *= 2
    must(False, f"{load.agents} agents are there within {lead:.0f} s")  # noqa: FBT003
    raise AssertionError


def check(heard: Heard, load: Load) -> None:
    """Checks that every byte of every agent came once and in order."""
    texts = heard.texts()
    must(len(texts) == load.agents, "every agent was heard")
    for text in texts.values():
        must(
            len(text) == (load.tokens + 1) * load.token_bytes,
            f"nothing is lost or doubled: {len(text)} bytes of {load}",
        )
        if load.interval:
            must(text.split() == sorted(text.split()), "tokens stay in order")
        else:
            said = READY + BLOCK * (load.tokens // 64 + 1)
            must(said[: len(text)] == text, "tokens are what was said")


async def rate(relay: Relay, load: Load) -> Sample:
    heard = await begun_together(relay, load)
    check(heard, load)
    tokens = load.agents * load.tokens
    return {"rate": tokens / (heard.pieces[-1][0] - heard.start), "spent": 1e6 * heard.processor_seconds / tokens}


async def lateness(relay: Relay, load: Load) -> Sample:
    heard = await begun_together(relay, load)
    check(heard, load)
    late, first = milliseconds_late(heard)
    return {
        "p50": percentile(late, 0.5),
        "p99": percentile(late, 0.99),
        "first": percentile(first, 0.5),
        "spent": 1e6 * heard.processor_seconds / len(late),
    }


def milliseconds_late(heard: Heard) -> tuple[list[float], list[float]]:
    """Returns the time from each token's write to its receipt, after the start; and of each agent's very first."""
    rest: dict[str, bytes] = {}
    late: list[float] = []
    first: list[float] = []
    for when, agent, data in heard.pieces:
        is_first = agent not in rest
        *whole, rest[agent] = (rest.get(agent, b"") + data).split(b" ")
        told = [1000 * when - int(token) / 1e6 for token in whole]
        if is_first:
            first.append(told.pop(0))
        late += told
    return late, first


async def measure(report: Report) -> None:
    if why := await why_no_sandbox():
        report.remark(f"Not measured: this machine allows no sandbox, so no agent runs. {why}")
        return
    if report.is_of_engines:
        await _measure_engines(report)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name, pair(slots=100) as running:
        workspace = flows.plain_workspace(Path(name))

        async def ours(load: Load, start: float) -> Heard:
            return await relays.ours(running, workspace, load, start)

        if report.is_short:
            await _measure_rates(report, ours, (Load(2, 2000),), 1)
            await _measure_lateness(report, ours, Load(4, 10, 0.02), 1)
        else:
            await _measure_rates(report, ours, RATE_LOADS, ROUNDS)
            await _measure_lateness(report, ours, Load(50, 200, 0.02), ROUNDS)


async def _measure_engines(report: Report) -> None:
    with contextlib.ExitStack() as stack:
        workspace = flows.plain_workspace(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))))
        databases = stack.enter_context(engines())
        relayed: dict[str, Relay] = {}
        for engine in ENGINES:
            running = stack.enter_context(pair(slots=100, store=databases.url(engine)))
            relayed[engine] = partial(relays.ours, running, workspace)
        loads = (Load(2, 2000),) if report.is_short else RATE_LOADS[:3]
        for load in loads:
            contenders = {engine: partial(rate, relay, load) for engine, relay in relayed.items()}
            found = await alternate(1 if report.is_short else ROUNDS, contenders)
            title = f"{load.agents} agents"
            for engine, samples in found.items():
                report.add(f"{title}: {engine}", "tokens/s", samples["rate"])
                report.add(f"{title}: processor time of the two services, {engine}", "µs/token", samples["spent"])
            both = (found[engine]["rate"] for engine in (POSTGRESQL, SQLITE))
            report.at_least(f"{title}: PostgreSQL / SQLite", ratio(*both), 0.7)
        load = Load(4, 10, 0.02) if report.is_short else Load(50, 200, 0.02)
        contenders = {engine: partial(lateness, relay, load) for engine, relay in relayed.items()}
        late = await alternate(1 if report.is_short else ROUNDS, contenders)
    for engine, samples in late.items():
        for figure in ("p50", "p99"):
            told = f"{load.agents} agents x {1 / load.interval:.0f} tokens/s: a token's way, {figure}, {engine}"
            report.add(told, "ms", samples[figure])


async def _measure_rates(report: Report, ours: Relay, loads: Sequence[Load], rounds: int) -> None:
    for load in loads:
        small = Load(load.agents, max(64, min(load.tokens, NAIVE_TOKENS) // load.agents))
        contenders = {OURS: lambda load=load: rate(ours, load), BARE: lambda load=load: rate(relays.raw, load)}
        if load.at_once == 1:
            contenders[NAIVE] = lambda small=small: rate(relays.naive, small)
        found = await alternate(rounds, contenders)
        title = f"{load.agents} agent{'s' * (load.agents > 1)}" + f", {load.at_once} tokens a write" * (
            load.at_once > 1
        )
        for who, samples in found.items():
            report.add(f"{title}: {who}", "tokens/s", samples["rate"])
        for who, samples in found.items():
            report.add(f"{title}: processor time of the two services, {who}", "µs/token", samples["spent"])
        if load.agents == 20 and load.at_once == 1:
            mine = found[OURS]["rate"]
            report.at_least(f"{title}: ours / bare sockets", ratio(mine, found[BARE]["rate"]), 0.6)
            report.at_least(f"{title}: ours", percentile(mine, 0.5), 250_000, " tokens/s")
            report.at_least(f"{title}: ours / naive", ratio(mine, found[NAIVE]["rate"]), 100)


async def _measure_lateness(report: Report, ours: Relay, load: Load, rounds: int) -> None:
    contenders = {OURS: ours, BARE: relays.raw}
    found = await alternate(
        rounds, {who: lambda relay=relay: lateness(relay, load) for who, relay in contenders.items()}
    )
    pace = f"{load.agents} agents x {1 / load.interval:.0f} tokens/s"
    for who, samples in found.items():
        for figure in ("p50", "p99"):
            report.add(f"{pace}: a token's way, {figure}, {who}", "ms", samples[figure])
        report.add(f"{pace}: an agent's first token, p50, {who}", "ms", samples["first"])
        report.add(f"{pace}: processor time of the two services, {who}", "µs/token", samples["spent"])
    mine, bare = found[OURS], found[BARE]
    report.at_most(f"{pace}: p50", percentile(mine["p50"], 0.5), 5, " ms")
    over = [one - other for one, other in zip(mine["p99"], bare["p99"], strict=True)]
    report.at_most(f"{pace}: p99 above that of bare sockets", percentile(over, 0.5), 40, " ms")
