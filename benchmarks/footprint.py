"""Measures the memory of what idles: services, watches, silent agents. Goal 5, shown in the table of `recovery`.

Proportional memory divides what a process shares with others among them, so that sums are true. Resident memory is what a look at
the process shows, and what the goal is about.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import grpc

from benchmarks.measuring import Report, must
from benchmarks.services import HOST, descendants, pid_of, proportional_kib, resident_kib
from conductor.evaluation.workers.limits import FOLD_WORKERS, QUICK_WORKERS, REPORT_WORKERS
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.run_service_pb2 import CancelRunRequest, CreateRunRequest, GetRunRequest, Run, WatchRunRequest
from tests.kit.services import Pair

SETTLING_SECONDS = 1.0
WAIT_SECONDS = 60
KIB, MB = 1024, 1_000_000


def measure(report: Report, running: Pair, silent: CreateRunRequest) -> None:
    """Measures, and leaves the services as it found them, but for runs that have ended."""
    agents, watches = (2, 10) if report.is_short else (20, 500)
    conductor, host = pid_of(running.conductor), pid_of(running.hosts[HOST])
    for who, pid in (("conductor", conductor), ("host", host)):
        report.add(f"an idle {who}: resident", "MB", [resident_kib(pid) * KIB / MB])
        report.add(f"an idle {who}: proportional", "MB", [proportional_kib(pid) * KIB / MB])
        report.at_most(f"an idle {who}, resident", resident_kib(pid) * KIB / MB, 60, " MB")
    with running.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        bare = proportional_kib(conductor) + proportional_kib(host)
        runs = [stub.CreateRun(silent, timeout=60).name for _ in range(agents)]
        _until(stub, runs, Run.STATE_RUNNING)
        _wait(lambda: sum(map(_is_silent, descendants(host))) == agents, f"{agents} agents are at nothing")
        all_workers = QUICK_WORKERS + FOLD_WORKERS + REPORT_WORKERS
        _wait(lambda: len(descendants(conductor)) == all_workers, "all workers are there")
        time.sleep(SETTLING_SECONDS)
        beside = _total({pid for pid in descendants(host) if not _is_silent(pid)})
        grown = proportional_kib(conductor) + proportional_kib(host) - bare
        report.add("a silent agent: its shim and its sandbox", "MB", [beside / agents * KIB / MB])
        report.add("a silent agent: both services, together", "MB", [grown / agents * KIB / MB])
        report.at_most("a silent agent, beside its own process", (beside + grown) / agents * KIB / MB, 12, " MB")
        workers = descendants(conductor)
        report.add(f"an idle conductor's {len(workers)} workers, together", "MB", [_total(workers) * KIB / MB])
        before = proportional_kib(conductor)
        grown = asyncio.run(_watched(running.address, runs[0], watches, conductor)) - before
        report.add(f"an idle watch, of {watches}", "KiB", [grown / watches])
        report.at_most("an idle watch", grown / watches, 40, " KiB")
        for run in runs:
            stub.CancelRun(CancelRunRequest(name=run), timeout=10)
        _until(stub, runs, Run.STATE_CANCELLED)


async def _watched(address: str, run: str, count: int, conductor: int) -> int:
    """Returns the conductor's memory while this many watchers follow a silent run."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        calls = [stub.WatchRun(WatchRunRequest(name=run)) for _ in range(count)]
        for call in calls:
            await call.read()
        await asyncio.sleep(SETTLING_SECONDS)
        kib = proportional_kib(conductor)
        for call in calls:
            call.cancel()
    return kib


def _until(stub: run_service_pb2_grpc.RunServiceStub, runs: list[str], state: Run.State) -> None:
    def is_so(run: str) -> bool:
        found = stub.GetRun(GetRunRequest(name=run), timeout=10)
        return found.state == state and len(found.steps[0].attempts) > 0

    _wait(lambda: all(map(is_so, runs)), f"runs become {Run.State.Name(state)}")


def _wait(holds: Callable[[], bool], promise: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        must(time.monotonic() < deadline, f"{promise} within {WAIT_SECONDS} s")
        time.sleep(0.02)


def _total(pids: set[int]) -> int:
    return sum(map(proportional_kib, pids))


def _is_silent(pid: int) -> bool:
    """Returns whether this is the agent itself; all else below a host is ours or bubblewrap's."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0003600\0"
    except OSError:
        return False
