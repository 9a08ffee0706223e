"""Measures how slots are shared between runs: of the core in virtual time, and of real services, hosts and sandboxes.

The share of a run is the even one (`tests/kit/shares.py`). Real steps sleep: what they take of the processor is their sandbox. A
run that is there a moment before the others has every slot for a step's length, since nothing that runs is stopped: windows begin
after that.
"""

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import grpc

from benchmarks.measuring import Report, must, percentile
from benchmarks.services import pair, why_no_sandbox
from conductor.core.decide.advance import advance
from conductor.core.model.commands import Decision
from conductor.core.model.conductor_state import ConductorState
from conductor.core.model.inputs import HostPool
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.run_service_pb2 import CancelRunRequest, CreateRunRequest, GetRunRequest, Run
from servicekit.times import seconds
from tests.conductor.core import bench
from tests.conductor.core.workload import Load, name_of, play
from tests.kit import flows
from tests.kit.runs import find_settled, measure_shares

LEAST = 0.7
WINDOW_SECONDS = 10.0
STEP_SECONDS = 2.0
WAIT_SECONDS = 300.0
POLL_SECONDS = 0.2
MODELS = {"reader": (HostPool("gpu0", 8), "qwen")}


async def measure(report: Report) -> None:
    _measure_core(report)
    _measure_decisions(report)
    if why := await why_no_sandbox():
        report.remark(f"real hosts are left out: {why}")
        return
    await asyncio.to_thread(_measure_services, report)


def _measure_core(report: Report) -> None:
    ratios = [play([Load(20, run / 100) for run in range(10)], 8, 8, 8, seed=seed) for seed in range(3)]
    worst = [played.worst_ratio(WINDOW_SECONDS) for played in ratios]
    report.add("core: 10 runs of 20 steps of 1 s on 24 slots, the least of a share over 10 s", "", worst)
    waits = [play([Load(1000), Load(1, 5.0)], slots, until=8.0).waits[1] for slots in (24,)]
    report.add("core: a run of one step behind 1,000 steps, in step lengths", "", waits)
    report.at_least("core: the least of a share", min(worst), LEAST)
    report.at_most("core: one step behind 1,000 steps, in step lengths", max(waits), 2.0)


def _measure_decisions(report: Report) -> None:
    """Times the decision that ends a step and gives its slot to another: 10 runs, 2,000 steps, 20 hosts."""
    runs, steps = (2, 20) if report.is_short else (10, 200)
    for title, models in (("without models", None), ("with a pool of 8 slots", MODELS)):
        took: list[float] = []

        def timed(state: ConductorState, inputs: object, now: float) -> tuple[Decision, ConductorState]:
            begun = time.perf_counter()
            decided = advance(state, inputs, now)  # type: ignore[arg-type]
            took.append((time.perf_counter() - begun) * 1000)  # noqa: B023 - it is called within the turn
            return decided

        with patch.object(bench, "advance", timed):
            ends = _end_some(runs, steps, models, took)
        report.add(f"a decision with {runs * steps:,} steps waiting, {title}", "ms", ends)
        if models is None:
            report.at_most(f"a decision with {runs * steps:,} steps waiting", percentile(ends, 0.5), 1.0, " ms")


def _end_some(runs: int, steps: int, models: dict[str, tuple[HostPool, str]] | None, took: list[float]) -> list[float]:
    table, agent = bench.Bench(), "reader" if models else "survey"
    for number in range(20):
        table.host(f"h{number}", 8, agent, models=models or {})
    names = [f"s{number}" for number in range(steps)]
    for run in range(runs):
        table.launch(*(bench.asks(name, agents=(agent,)) for name in names), run=name_of(run))
        table.queue(*names, run=name_of(run))
    ends = []
    for run, step in [(name_of(number), name) for number in range(runs) for name in names]:
        if table.step(step, run).live_attempt is not None and len(ends) < 100:
            table.finish(step, run=run)
            ends.append(took[-1])
    return ends


def _measure_services(report: Report) -> None:
    runs, steps, length = (3, 4, 0.3) if report.is_short else (10, 20, STEP_SECONDS)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, pair(hosts=3, slots=8) as running:
        workspace = flows.plain_workspace(Path(name))
        with running.channel() as channel:
            stub = run_service_pb2_grpc.RunServiceStub(channel)
            asked = _request(workspace, steps, length)
            ended = _until_ended(stub, [stub.CreateRun(asked, timeout=60).name for _ in range(runs)])
            large = stub.CreateRun(_request(workspace, 30 if report.is_short else 200, length), timeout=60).name
            time.sleep(length)
            (small,) = _until_ended(stub, [stub.CreateRun(_request(workspace, 1, length), timeout=60).name])
            with contextlib.suppress(grpc.RpcError):  # the short form's may have ended
                stub.CancelRun(CancelRunRequest(name=large), timeout=20)
    shares = measure_shares(ended, 24)
    must(shares.most_live <= 24, "three hosts of 8 slots never run more than 24 agents")
    lengths = [
        seconds(one.end_time) - seconds(one.create_time) for run in ended for step in run.steps for one in step.attempts
    ]
    report.add("services: from the decision to place a step to its end", "s", lengths)
    worst = shares.worst_ratio(WINDOW_SECONDS, begin=find_settled(ended))
    waited = (seconds(small.steps[0].attempts[0].create_time) - seconds(small.steps[0].ready_time)) / length
    what = f"services: {runs} runs of {steps} steps of {length:g} s on 24 slots, the least of a share over 10 s"
    report.add(what, "", [worst])
    report.add("services: a run of one step behind a large one, in step lengths", "", [waited])
    report.at_least("services: the least of a share", worst, LEAST)
    report.at_most("services: one step behind a large run, in step lengths", waited, 2.0)


def _request(workspace: Path, steps: int, length: float) -> CreateRunRequest:
    made = [flows.scripted(f"s{number}", f"sleep {length}", "say x") for number in range(steps)]
    return flows.request(workspace, *made)


def _until_ended(stub: run_service_pb2_grpc.RunServiceStub, names: list[str]) -> list[Run]:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        runs = [stub.GetRun(GetRunRequest(name=name), timeout=20) for name in names]
        if all(run.state in {Run.STATE_SUCCEEDED, Run.STATE_FAILED} for run in runs):
            break
        must(time.monotonic() < deadline, "every run ends within minutes")
        time.sleep(POLL_SECONDS)
    for run in runs:
        must(run.state == Run.STATE_SUCCEEDED, f"{run.name} succeeds: {run.failure.message}")
    return runs
