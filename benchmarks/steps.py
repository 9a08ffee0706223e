"""Measures durable no-op steps: a chain of 200, a fan-out of 200, 20 chains of 50 at once. Ours over gRPC, others in process.

A step of ours is a fold with the template `x`: it asks no agent, but as every text of an author it is rendered in a worker
process with limits (architecture.md, rule 5), so each step pays the way there and back. Each of its three events is in a
FULL commit before anything follows from it; the end of a step and the start of the next share one.

The rate counts from the first step's start to the last step's end, as stored: pinning a workspace, judging a flow and
rendering a report are no steps, and the others' rates leave them out as well. What a caller waits for in all is a row of its own.
The chains that run at once wait until the last of them is there, as the others' do: behind a fold that takes its time.
"""

import asyncio
import contextlib
import json
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.engines import ENGINES, POSTGRESQL, SQLITE, engines
from benchmarks.environments import Peer
from benchmarks.measuring import Contender, Report, Sample, alternate, must, ratio
from benchmarks.services import pair, processor_seconds
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import Flow
from conductor.v1.run_service_pb2 import CreateRunRequest, GetRunRequest, ListRunsRequest, Run
from tests.kit import flows
from tests.kit.services import Pair

ROUNDS = 3
POLL_SECONDS = 0.05
PEER_SECONDS = 120
PROGRAMS = Path(__file__).parent / "peers"
LANGGRAPH = Peer(
    "LangGraph",
    PROGRAMS / "langgraph_steps.py",
    ("langgraph==1.2.22", "langgraph-checkpoint-sqlite==3.1.2", "langchain-core==1.7.2"),
)
DBOS = Peer("DBOS", PROGRAMS / "dbos_steps.py", ("dbos==3.4.0", "SQLAlchemy==2.1.9"))
SHAPES = {"chain": "chain of {0}", "fan": "fan-out of {0}", "chains": "{1} chains of {2}"}
# The length of the fold that others wait behind: nearly a second for each hundred turns.
GATE = "{{% for a in range({}) %}}{{% for b in range(99999) %}}{{% endfor %}}{{% endfor %}}"
GATE_TURNS = (150, 500, 900)
# The ratio of ours to theirs in goal 1.
WANTED = {LANGGRAPH.name: {"chain": 1.0, "fan": 1.5, "chains": 4.0}, DBOS.name: dict.fromkeys(SHAPES, 3.0)}
ENGINE_GOALS = {POSTGRESQL: {"chain": 0.4, "fan": 0.7}}

Sizes = tuple[int, int, int]  # steps of the chain and of the fan-out; how many chains; how long each


def chain(length: int) -> list[Flow.Step]:
    return [flows.fold(f"s{number}", "x", *([f"s{number - 1}"] if number else [])) for number in range(length)]


def fan(width: int) -> list[Flow.Step]:
    return [flows.fold(f"s{number}", "x") for number in range(width)]


def settled(stub: run_service_pb2_grpc.RunServiceStub, names: list[str]) -> list[Run]:
    """Returns the runs once all have ended. It asks for lists, which cost the conductor little, and watches none."""
    ended = (Run.STATE_SUCCEEDED, Run.STATE_FAILED)
    deadline = time.monotonic() + 60
    while True:
        page = stub.ListRuns(ListRunsRequest(page_size=len(names) + 1), timeout=10).runs
        listed = {run.name: run.state for run in page}
        if all(listed.get(name) in ended for name in names):
            break
        must(time.monotonic() < deadline, "every run ends within a minute")
        time.sleep(POLL_SECONDS)
    runs = [stub.GetRun(GetRunRequest(name=name), timeout=10) for name in names]
    for run in runs:
        must(run.state == Run.STATE_SUCCEEDED, f"{run.name} succeeds: {run.failure.message}")
    return runs


def rate(runs: list[Run], begun: int) -> float:
    steps = [step for run in runs for step in run.steps]
    last = max(step.end_time.ToNanoseconds() for step in steps)
    return len(steps) / (last - begun) * 1e9


def run_one(running: Pair, request: CreateRunRequest) -> tuple[float, float, float]:
    """Returns the rate, the seconds that a caller waits, and the conductor's processor seconds per step."""
    with running.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        spent, begun = processor_seconds(running.conductor), time.perf_counter()
        run = settled(stub, [stub.CreateRun(request, timeout=60).name])[0]
        whole = time.perf_counter() - begun
    spent = processor_seconds(running.conductor) - spent
    return rate([run], min(step.start_time.ToNanoseconds() for step in run.steps)), whole, spent / len(run.steps)


def run_at_once(running: Pair, workspace: Path, request: CreateRunRequest, count: int) -> float:
    """Returns the rate of runs that are all there before the first of them begins."""
    with running.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        for turns in GATE_TURNS:
            gate = stub.CreateRun(flows.request(workspace, flows.fold("gate", GATE.format(turns))), timeout=60).name
            asked = [stub.CreateRun.future(request, timeout=60) for _ in range(count)]
            *runs, first = settled(stub, [*(call.result().name for call in asked), gate])
            opened = first.steps[0].end_time.ToNanoseconds()
            if all(run.create_time.ToNanoseconds() < opened for run in runs):
                return rate(runs, opened)
    must(False, f"{count} runs are created while a fold renders")  # noqa: FBT003
    raise AssertionError


def measure_ours(running: Pair, workspace: Path, sizes: Sizes) -> Sample:
    steps, chains, length = sizes
    found: dict[str, float] = {}
    for name, made in {"chain": chain(steps), "fan": fan(steps)}.items():
        found[name], found[f"{name} whole"], found[f"{name} spent"] = run_one(running, flows.request(workspace, *made))
    found["chains"] = run_at_once(running, workspace, flows.request(workspace, *chain(length)), chains)
    return found


async def measure_peer(peer: Peer, sizes: Sizes) -> Sample:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        arguments = [str(peer.python), str(peer.program), folder, *map(str, sizes)]
        process = await asyncio.create_subprocess_exec(
            *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, complaint = await asyncio.wait_for(process.communicate(), PEER_SECONDS)
    must(process.returncode == 0, f"{peer.name} runs: {complaint.decode()[-500:]}")
    found: dict[str, float] = json.loads(said)
    return found


async def measure_engines(report: Report, sizes: Sizes, rounds: int) -> None:
    with contextlib.ExitStack() as stack:
        workspace = flows.plain_workspace(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))))
        databases = stack.enter_context(engines())
        contenders: dict[str, Contender] = {}
        for engine in ENGINES:
            running = stack.enter_context(pair(hosts=0, store=databases.url(engine)))
            contenders[engine] = partial(asyncio.to_thread, measure_ours, running, workspace, sizes)
            await contenders[engine]()
        found = await alternate(rounds, contenders)
    for shape, title in SHAPES.items():
        for engine, samples in found.items():
            report.add(f"{title.format(*sizes)}: {engine}", "steps/s", samples[shape])
            if spent := samples.get(f"{shape} spent"):
                told = f"{title.format(*sizes)}: processor time of the conductor, {engine}"
                report.add(told, "ms/step", [1000 * one for one in spent])
        for engine, wanted in (ENGINE_GOALS if shape in ENGINE_GOALS[POSTGRESQL] else {}).items():
            told = f"{title.format(*sizes)}: {engine} / SQLite"
            report.at_least(told, ratio(found[engine][shape], found[SQLITE][shape]), wanted[shape])


async def measure(report: Report) -> None:
    sizes, rounds = ((20, 2, 10), 1) if report.is_short else ((200, 20, 50), ROUNDS)
    if report.is_of_engines:
        await measure_engines(report, sizes, rounds)
        return
    # DBOS takes half a minute for what the others do in two seconds; its rate does not depend on how much there is.
    their_sizes = {LANGGRAPH.name: sizes, DBOS.name: (sizes[0] // 2, sizes[1] // 2, sizes[2] // 2)}
    peers = []
    for peer in (LANGGRAPH, DBOS):
        if why := peer.is_there(is_short=report.is_short):
            report.remark(f"{peer.name} is not compared: {why}")
        else:
            peers.append(peer)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, pair(hosts=0) as running:
        workspace = flows.plain_workspace(Path(name))

        async def ours() -> Sample:
            return await asyncio.to_thread(measure_ours, running, workspace, sizes)

        await ours()  # workers started, caches warm, as the others'
        contenders = {"ours": ours}
        for peer in peers:
            contenders[peer.name] = lambda peer=peer: measure_peer(peer, their_sizes[peer.name])
        found = await alternate(rounds, contenders)
    _tell(report, found, sizes)


def _tell(report: Report, found: dict[str, dict[str, list[float]]], sizes: Sizes) -> None:
    for shape, title in SHAPES.items():
        told = title.format(*sizes)
        for who, samples in found.items():
            version = {LANGGRAPH.name: " 1.2, SqliteSaver", DBOS.name: " 3.4, SQLite"}.get(who, ", over gRPC")
            report.add(f"{told}: {who}{version}, FULL", "steps/s", samples[shape])
        for who in found.keys() - {"ours"}:
            report.at_least(f"{told}: ours / {who}", ratio(found["ours"][shape], found[who][shape]), WANTED[who][shape])
        if f"{shape} whole" not in found["ours"]:
            continue
        report.add(f"{told}: ours, from the call to the report", "s", found["ours"][f"{shape} whole"])
        spent = [1000 * one for one in found["ours"][f"{shape} spent"]]
        report.add(f"{told}: processor time of the conductor, workers aside", "ms/step", spent)
