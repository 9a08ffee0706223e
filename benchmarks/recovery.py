"""Measures start, recovery after kill -9, and cancelling; goal 6. Shows the memory of `footprint` in the same table.

Each is timed from outside: from the exec of a service until it answers health with SERVING; from the exec of a conductor, killed
with 1 000 unfinished runs and 200 agents at work, until a watcher that was cut off gets a message again, and until a word that an
agent says after the kill reaches it; from CancelRun's call until no process of the agent's tree is left.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks import footprint
from benchmarks.measuring import Report, Sample, alternate, must, percentile
from benchmarks.services import HOST, descendants, pair, pid_of, processor_seconds, why_no_sandbox, words_of
from conductor.v1 import run_service_pb2_grpc
from conductor.v1.flow_service_pb2 import AgentWork, Flow
from conductor.v1.run_service_pb2 import CancelRunRequest, CreateRunRequest, GetRunRequest, Output, Run, WatchRunRequest
from tests.kit import flows
from tests.kit.services import Pair, Service, free_port

POLL_SECONDS = 0.002
READY_SECONDS = 60
# The floor for the start of a Python service with gRPC.
FLOOR = "import asyncio, grpc.aio, google.protobuf.struct_pb2, structlog, click"


def silent(workspace: Path) -> CreateRunRequest:
    step = Flow.Step(id="silent", agent=AgentWork(agents=["silent"], prompt="Wait."))
    return flows.request(workspace, step)


def ticking(workspace: Path) -> CreateRunRequest:
    """Returns the prompt of an agent that says the time twenty times a second, for ten minutes."""
    prompt = f"#chatter pace {time.time():.3f} 12000 0.05"
    return flows.request(workspace, Flow.Step(id="ticking", agent=AgentWork(agents=["chatter"], prompt=prompt)))


def until_serving(service: Service, target: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        # A new channel each time: one that was refused once waits a second before it tries again.
        with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
            except grpc.RpcError:
                answer = None
        if answer is not None and answer.status == health_pb2.HealthCheckResponse.SERVING:
            return
        must(service.process is not None and service.process.poll() is None, f"a service lives: {service.tail()}")
        must(time.monotonic() < deadline, f"{target} serves within a minute: {service.tail()}")
        time.sleep(POLL_SECONDS)


def start_once(who: str, service: Service, target: str) -> dict[str, float]:
    begun = time.perf_counter()
    service.start()
    until_serving(service, target)
    found = {who: time.perf_counter() - begun, f"{who} spent": processor_seconds(service)}
    service.stop()
    return found


async def starts(folder: Path) -> Sample:
    address, socket = f"127.0.0.1:{free_port()}", f"unix:{folder}/host.sock"
    conductor = ["conductor.cli", "serve", "--listen", address, "--data", str(folder / "conductor")]
    host = ["agenthost.cli", "serve", "--listen", socket, "--data", str(folder / "host"), "--name", HOST]
    begun = time.perf_counter()
    await (await asyncio.create_subprocess_exec(sys.executable, "-c", FLOOR)).wait()
    floor = time.perf_counter() - begun
    return {
        "floor": floor,
        **start_once("conductor", Service(conductor, folder / "log"), address),
        **start_once("host", Service(host, folder / "log"), socket),
    }


class Ear:
    """Watches a run for as long as it takes, across restarts of the conductor, and remembers when it received what."""

    def __init__(self, address: str, run: str) -> None:
        self._address, self._run, self._token = address, run, ""
        self._heard = threading.Condition()
        self._messages = 0
        self._newest_word = 0.0
        threading.Thread(target=self._listen, daemon=True).start()

    def until_told(self) -> None:
        """Waits for the next message, whatever it holds."""
        with self._heard:
            before = self._messages
            must(self._heard.wait_for(lambda: self._messages > before, READY_SECONDS), "a watcher is told again")

    def until_word_after(self, moment: float) -> None:
        """Waits for a word that was said after this moment."""
        with self._heard:
            must(self._heard.wait_for(lambda: self._newest_word > moment, READY_SECONDS), "words arrive again")

    def _listen(self) -> None:
        while True:
            with grpc.insecure_channel(self._address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                stub = run_service_pb2_grpc.RunServiceStub(channel)
                try:
                    for message in stub.WatchRun(WatchRunRequest(name=self._run, resume_token=self._token)):
                        self._take(message)
                except grpc.RpcError:
                    time.sleep(POLL_SECONDS)

    def _take(self, message: object) -> None:
        self._token = message.resume_token
        with self._heard:
            self._messages += 1
            if message.output.channel == Output.CHANNEL_ANSWER and (words := message.output.text.split()):
                self._newest_word = int(words[-1]) / 1e9
            self._heard.notify_all()


def fill(running: Pair, workspace: Path, runs: int, slots: int) -> str:
    """Creates the runs, the first of which talks, and waits until every slot has an agent at work. Returns the talking one."""
    with running.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        talking = stub.CreateRun(ticking(workspace), timeout=60).name
        request = silent(workspace)
        for start in range(1, runs, 50):
            asked = [stub.CreateRun.future(request, timeout=120) for _ in range(min(50, runs - start))]
            for call in asked:
                call.result()
    deadline = time.monotonic() + 120
    while len(agents(running)) < slots:
        must(time.monotonic() < deadline, f"{slots} agents begin within two minutes")
        time.sleep(0.2)
    return str(talking)


def spawns(running: Pair) -> int:
    """Returns how many agents the host ever began, by its spawn log: more than attempts means that one ran twice."""
    file = running.folder / HOST / "spawns.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


def agents(running: Pair) -> dict[str, int]:
    """Returns the released agents that live: by attempt's folder, with this machine's process ids."""
    found = {}
    for file in (running.folder / HOST).rglob("owner.json"):  # the host's proof of its sandbox belongs to no run
        with contextlib.suppress(OSError, ValueError):  # it was not released yet, or ends just now
            pid = json.loads(file.with_name("released.json").read_text())["pid"]
            if is_alive(pid):
                found[file.parent.name] = pid
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill_and_time(service: Service, target: str, ear: Ear) -> Sample:
    """Returns the seconds from the exec of a killed service until it serves, until a watcher gets a message, and a new word."""
    service.kill()
    killed = time.time()
    begun = time.perf_counter()
    service.start()
    until_serving(service, target)
    serving = time.perf_counter() - begun
    ear.until_told()
    told = time.perf_counter() - begun
    ear.until_word_after(killed)
    return {"serving": serving, "told": told, "word": time.perf_counter() - begun}


async def recoveries(report: Report, running: Pair, workspace: Path, *, runs: int, slots: int, rounds: int) -> None:
    talking = await asyncio.to_thread(fill, running, workspace, runs, slots)
    before, begun = agents(running), spawns(running)
    ear = Ear(running.address, talking)
    await asyncio.to_thread(ear.until_told)
    services = {
        "conductor": (running.conductor, running.address),
        "host": (running.hosts[HOST], f"unix:{running.folder}/{HOST}.sock"),
    }

    async def one(service: Service, target: str) -> Sample:
        return await asyncio.to_thread(kill_and_time, service, target, ear)

    found = await alternate(rounds, {who: lambda which=which: one(*which) for who, which in services.items()})
    after = agents(running)
    must(after == before, f"every agent that was at work is at work, as the same process: {before} became {after}")
    must(spawns(running) == begun, "no agent began twice")
    for who, samples in found.items():
        title = f"{who} killed, {runs:,} runs unfinished, {slots} agents at work"
        report.add(f"{title}: until it serves", "s", samples["serving"])
        report.add(f"{title}: until a watcher is told something", "s", samples["told"])
        report.add(f"{title}: until it hears a word said since", "s", samples["word"])
    again = percentile(found["conductor"]["told"], 0.5)
    report.at_most(f"conductor killed with {runs:,} runs unfinished: watching again", again, 2, " s")


def cancel_once(running: Pair, workspace: Path) -> float:
    """Returns the seconds from the call until nothing is left of an agent: neither itself, its sandbox, nor its shim."""
    with running.channel() as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        run = stub.CreateRun(silent(workspace), timeout=60).name
        while not (living := agents(running)):
            time.sleep(POLL_SECONDS)
        shims = [pid for pid in descendants(pid_of(running.hosts[HOST])) if living.keys() & words_of(pid)]
        tree = set(living.values()).union(shims, *map(descendants, shims))
        begun = time.perf_counter()
        stub.CancelRun(CancelRunRequest(name=run), timeout=10)
        while any(map(is_alive, tree)):
            time.sleep(POLL_SECONDS / 2)
        taken = time.perf_counter() - begun
        while stub.GetRun(GetRunRequest(name=run), timeout=10).state != Run.STATE_CANCELLED:
            time.sleep(POLL_SECONDS)
    return taken


async def measure(report: Report) -> None:
    why = await why_no_sandbox()
    if why:
        report.remark(f"Starts only: this machine allows no sandbox, so no agent runs. {why}")
    rounds = 1 if report.is_short else 5
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        found = await alternate(rounds, {"starts": lambda: starts(Path(name))})
    seconds = found["starts"]
    report.add("python with gRPC's imports, and nothing else", "s", seconds["floor"])
    for who in ("conductor", "host"):
        report.add(f"start of a {who}, until it serves", "s", seconds[who])
        report.add(f"start of a {who}: processor time", "s", seconds[f"{who} spent"])
        report.at_most(f"start of a {who}", percentile(seconds[who], 0.5), 1, " s")
    if not why:
        await _measure_agents(report)


async def _measure_agents(report: Report) -> None:
    runs, slots, rounds, cancels = (6, 3, 1, 1) if report.is_short else (1000, 200, 3, 20)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, pair(slots=slots, unfinished_runs=runs) as running:
        workspace = flows.plain_workspace(Path(name))
        await asyncio.to_thread(footprint.measure, report, running, silent(workspace))
        taken = [1000 * await asyncio.to_thread(cancel_once, running, workspace) for _ in range(cancels)]
        report.add("from CancelRun to a dead process tree", "ms", taken)
        report.at_most("from CancelRun to a dead process tree, p50", percentile(taken, 0.5), 300, " ms")
        await recoveries(report, running, workspace, runs=runs, slots=slots, rounds=rounds)
