"""Measures what confinement costs: from asking for an agent to its first output, bare, in bubblewrap, as an attempt; goal 4.

Three ways to an agent that says one word: a bare process, bubblewrap alone, and an attempt with its shim, its sandbox, its
durable spool and end. Then whole steps of runs, over gRPC: from ready (it has what it needs) to spawned (the agent was released),
one at a time, and 200 of them with 20 slots. What a step takes beyond the attempt is ours: the prompt's evaluation, two commits,
the way to the host and back, and the check of the snapshot.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agenthost.attempt.launch import Launch
from agenthost.attempt.process import AttemptProcess
from agenthost.sandbox.find import Sandbox, find_sandbox
from benchmarks.measuring import Report, Sample, alternate, must, percentile
from benchmarks.services import (
    HOST,
    descendants,
    pair,
    pid_of,
    processor_seconds,
    proportional_kib,
    reaped_seconds,
    why_no_sandbox,
    words_of,
)
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import AgentWork, Flow
from conductor.v1.run_service_pb2 import GetRunRequest, ListRunsRequest, Run
from tests.kit import flows
from tests.kit.attempts import until_longer
from tests.kit.services import Pair

ROUNDS = 40
ABREAST = 20
STEPS = 200
POLL_SECONDS = 0.02
PYTHON = str(Path(sys.executable).resolve())


def bare(command: list[str]) -> float:
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        return time.perf_counter() - begun


async def attempt(folder: Path, sandbox: Sandbox, number: int) -> Sample:
    place = folder / f"attempt{number}"
    place.mkdir()
    launch = Launch(execution=place.name, argv=("echo", "hello"), tree=folder / "tree")
    begun = time.perf_counter()
    async with await AttemptProcess.spawn(place, launch, sandbox) as process:
        await process.wait_started()
        spawned = time.perf_counter() - begun
        await until_longer(process, 0)
        first = time.perf_counter() - begun
        await process.ended()
        status = process.status()
        must(status is not None and status.exit_code == 0, f"an attempt ends well: {status}")
        return {"spawned": spawned, "first": first, "end": time.perf_counter() - begun}


def agents(count: int) -> list[Flow.Step]:
    return [
        Flow.Step(id=f"s{number}", agent=AgentWork(agents=["brief"], prompt="Say something."))
        for number in range(count)
    ]


def run_steps(running: Pair, workspace: Path, count: int) -> Run:
    with running.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        name = stub.CreateRun(flows.request(workspace, *agents(count)), timeout=60).name
        while stub.ListRuns(ListRunsRequest(page_size=1), timeout=10).runs[0].state < Run.STATE_SUCCEEDED:
            time.sleep(POLL_SECONDS)
        run: Run = stub.GetRun(GetRunRequest(name=name), timeout=10)
    must(run.state == Run.STATE_SUCCEEDED, f"the run succeeds: {run.failure.message}")
    return run


def one_step(running: Pair, workspace: Path) -> float:
    step = run_steps(running, workspace, 1).steps[0]
    return (step.attempts[0].start_time.ToNanoseconds() - step.ready_time.ToNanoseconds()) / 1e9


def many_steps(running: Pair, workspace: Path, count: int) -> Sample:
    """Returns steps a second, and milliseconds of processor time for each, which are the same on a busy machine."""
    before = spent(running)
    steps = run_steps(running, workspace, count).steps
    first = min(step.ready_time.ToNanoseconds() for step in steps)
    rate = count / (max(step.end_time.ToNanoseconds() for step in steps) - first) * 1e9
    return {"rate": rate} | {who: 1000 * (after - before[who]) / count for who, after in spent(running).items()}


def spent(running: Pair) -> dict[str, float]:
    host = pid_of(running.hosts[HOST])
    return {
        "conductor": processor_seconds(running.conductor),
        "host": processor_seconds(running.hosts[HOST]),
        "shim, sandbox and agent": reaped_seconds(host),
    }


async def memory(folder: Path, sandbox: Sandbox) -> float:
    place = folder / "resident"
    place.mkdir()
    launch = Launch(execution=place.name, argv=("sleep", "100"), tree=folder / "tree")
    async with await AttemptProcess.spawn(place, launch, sandbox) as process:
        await process.wait_started()
        shim = next(pid for pid in descendants(os.getpid()) if place.name in words_of(pid))
        kib = proportional_kib(shim)
        await process.cancel("measured")
        await process.ended()
    return kib / 1024


async def measure(report: Report) -> None:
    if why := await why_no_sandbox():
        report.remark(f"Not measured: this machine allows no sandbox. {why}")
        return
    rounds, many = (2, 4) if report.is_short else (ROUNDS, STEPS)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, pair(slots=ABREAST) as running:
        folder = Path(name)
        (folder / "tree").mkdir(mode=0o755)
        workspace = flows.plain_workspace(folder / "workspace")
        sandbox = await find_sandbox(folder)
        plain = [str(sandbox.folder / sandbox.program), "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent"]
        turns = iter(range(rounds))

        async def alone() -> Sample:
            commands = {"bare": ["echo", "hello"], "python": [PYTHON, "-I", "-S", "-c", "print('hello')"]}
            commands["bubblewrap"] = [*plain, "echo", "hello"]
            return {name: bare(command) for name, command in commands.items()}

        async def step() -> Sample:
            return {"step": await asyncio.to_thread(one_step, running, workspace)}

        await step()  # the snapshot is sent to the host once
        contenders = {"alone": alone, "attempt": lambda: attempt(folder, sandbox, next(turns)), "step": step}
        found = await alternate(rounds, contenders)

        async def abreast() -> Sample:
            return await asyncio.to_thread(many_steps, running, workspace, many)

        at_once = (await alternate(1 if report.is_short else 3, {"ours": abreast}))["ours"]
        _tell(report, {name: values for samples in found.values() for name, values in samples.items()})
        rates = at_once.pop("rate")
        report.add(f"{many} agent steps, {ABREAST} at a time", "steps/s", rates)
        for who, values in at_once.items():
            report.add(f"processor time of each of them: {who}", "ms", values)
        report.add("a shim's memory, proportional", "MiB", [await memory(folder, sandbox)])
    report.at_least(f"{many} agent steps, {ABREAST} at a time", percentile(rates, 0.5), 25, " steps/s")


def _tell(report: Report, seconds: dict[str, list[float]]) -> None:
    found = {name: [1000 * one for one in values] for name, values in seconds.items()}
    for name, what in (
        ("bare", "`echo`, bare, to its first output"),
        ("python", "`python -I -S`, bare, to its first output"),
        ("bubblewrap", "`echo` in a plain bubblewrap, to its first output"),
        ("spawned", "`echo` as an attempt, until the agent is let go"),
        ("first", "`echo` as an attempt, to its first output"),
        ("end", "`echo` as an attempt, to its durable end"),
        ("step", "`echo` as a step of a run, from ready to spawned"),
    ):
        report.add(what, "ms", found[name])
    report.at_most("a step, from ready to spawned, p50", percentile(found["step"], 0.5), 60, " ms")
    beyond = [step - spawned for step, spawned in zip(found["step"], found["spawned"], strict=True)]
    report.at_most("of that beyond bubblewrap and shim", percentile(beyond, 0.5), 15, " ms")
