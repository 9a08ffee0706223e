"""A host's daemon in a simulated world: the real supervisor, executions, outboxes, fences, tombstones and servicers.

What is simulated is below them: the loop, the disk, the shims, the network; and beside them the proof of the sandbox, and
snapshots, which are there always.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from agenthost.agent_specs import Agent
from agenthost.api.execution_servicer import ExecutionServicer
from agenthost.api.host_servicer import HostServicer
from agenthost.api.snapshot_servicer import SnapshotServicer
from agenthost.app import supervising
from agenthost.config import Settings
from agenthost.core.admission.agent_spec import parse_spec
from agenthost.core.admission.order import WIDEST
from agenthost.core.models.endpoint import parse_endpoint
from agenthost.core.models.facts import ModelFacts
from agenthost.core.models.meter import Reading
from agenthost.core.models.metering import ModelUse
from agenthost.core.models.refusals import ModelTrouble
from agenthost.core.sandbox.policy import HostLayout
from agenthost.core.sandbox.report import SandboxReport
from agenthost.errors import EpochSupersededError
from agenthost.host.data_folder import DataFolder
from agenthost.host.fences import Fences
from agenthost.host.state import Host
from agenthost.models.settings import ModelSettings
from agenthost.models.usage import write_use
from agenthost.proof.prover import Prover
from agenthost.sandbox.find import Sandbox
from agenthost.snapshots.eviction import Figures
from agenthost.snapshots.integrity import SnapshotIntegrity
from agenthost.snapshots.store import Missing, SnapshotPaths
from agenthost.v1 import execution_service_pb2_grpc, host_service_pb2_grpc, snapshot_service_pb2_grpc
from tests.simulation.ground.process import Process
from tests.simulation.ground.server import Server
from tests.simulation.programs.plans import RENDERED, TALKERS, TALKING
from tests.simulation.programs.shim import MachineShims

if TYPE_CHECKING:
    from agenthost.host.supervisor import Supervisor
    from agenthost.v1 import execution_service_pb2 as pb
    from tests.simulation.ground.network import Call
    from tests.simulation.programs.machine import Machine

THINKER, POOL = "reader", "gpu0"  # the agent that asks a model, and its pool
LIMITED = (
    ModelUse()
    .with_request()
    .with_status(429)
    .with_answer(429, Reading(trouble=ModelTrouble.RATE_LIMIT), ((b"retry-after", b"15"),))
)
EPOCH = 1_000_000.0  # the wall clock's, when the world begins
_PROVEN = SandboxReport(available=True, reason="", mechanism="simulated")
_SANDBOX = Sandbox(Path("/nowhere"), "bwrap", "1", 65534, HostLayout(), b"", Path("/nowhere/spawns"))


def is_limited(seed: int, execution: str) -> bool:
    """Whether the model refuses an attempt: some first ones, so that every step gets through."""
    return execution.endswith("-1") and Random(f"limit {seed} {execution}").random() < 0.7


class Daemon:
    """One life of a host's daemon."""

    def __init__(self, machine: "Machine") -> None:
        self.machine = machine
        self.rng = Random(f"daemon {machine.seed} {machine.name} {machine.agenda.now}")
        self.process = Process(machine.agenda, f"daemon of {machine.name}", self.rng, disk=machine.disk)
        machine.processes.append(self.process)
        self.host: Host | None = None
        self.server: Server | None = None
        self.supervisor: Supervisor | None = None
        self._clock_ahead = EPOCH + machine.clock_offset
        self.process.start(self._serve())

    def drain(self, *, is_draining: bool) -> None:
        if self.host is not None:
            self.host.draining = is_draining
            self.process.do(self.host.change.notify)

    async def _serve(self) -> None:
        machine = self.machine
        await asyncio.sleep(self.rng.random())
        data = DataFolder(machine.disk.root)
        data.acquire()
        models = _models(machine.pool_slots)
        settings = Settings(
            listen="", data=data.path, name=machine.name, slots=machine.slots, limits=WIDEST, models=models
        )
        agents = {name: _agent(name, data.path, models) for name in machine.agents}
        host = self.host = Host(
            settings, agents, instance=data.instance(), boot_id=machine.boot_id, draining=machine.is_draining
        )
        host.models = {name: ModelFacts(is_asked=True) for name in models}
        host.settle(_SANDBOX, _PROVEN)
        for agent in agents.values():
            host.settle_agent(agent, _PROVEN)
        snapshots: Any = Snapshots(self.rng)
        integrity, prover = SnapshotIntegrity(snapshots), Prover(host, data.path)
        gateway: Any = Gateway(machine.seed)
        async with supervising(
            host, data, integrity, gateway, now=self._now, shims=MachineShims(machine)
        ) as supervisor:
            self.supervisor = supervisor
            executions = ExecutionServicer(supervisor, NotedFences(data.fences, machine.admitted, machine.seen), host)
            self.server = Server(
                self.process,
                [
                    (execution_service_pb2_grpc.add_ExecutionServiceServicer_to_server, executions),
                    (
                        host_service_pb2_grpc.add_HostServiceServicer_to_server,
                        HostServicer(host, prover, snapshots.eviction),
                    ),
                    (
                        snapshot_service_pb2_grpc.add_SnapshotServiceServicer_to_server,
                        SnapshotServicer(snapshots),
                    ),
                ],
                "agenthost",
                self._pass,
            )
            await asyncio.Event().wait()

    def _now(self) -> float:
        return self.process.time() + self._clock_ahead

    def _pass(self, method: str, response: "pb.ExecuteResponse", call: "Call") -> None:
        if not method.endswith("/Execute"):
            return
        if response.HasField("finished"):
            call.has_told_end = True
            self.machine.pass_point("end told")
        elif response.HasField("turn"):
            self.machine.seen["turn told"] += 1
            self.machine.pass_point("turn told")
        elif response.HasField("input_applied"):
            self.machine.seen["input applied"] += 1
            self.machine.pass_point("input applied")
        elif response.HasField("input_refused"):
            self.machine.seen["input refused"] += 1


class Gateway:
    """Stands in for the gateway, which is a process: what a model refused is in an attempt's book from the beginning."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def begin_turn(self, execution: str) -> None:
        """Lets an attempt ask its model again."""

    async def ready(self) -> None:
        pass

    async def leave(self, execution: str) -> None:
        pass

    def attend(
        self, execution: str, folder: Path, model: str, *, ends_at_cut: bool = False, traceparent: str = ""
    ) -> None:
        if is_limited(self._seed, execution):
            with contextlib.suppress(OSError):
                write_use(folder, LIMITED)


class NotedFences(Fences):
    """Fences, with a record of all that was admitted."""

    def __init__(self, path: Path, admitted: list[tuple[str, int]], seen: Counter[str]) -> None:
        super().__init__(path)
        self._seen = seen
        self._admitted = admitted

    async def admit(self, conductor: str, epoch: int) -> None:
        try:
            await super().admit(conductor, epoch)
        except EpochSupersededError:
            self._seen["older epoch refused"] += 1
            raise
        self._admitted.append((conductor, epoch))


class Snapshots:
    """A store of snapshots in which every snapshot is, and stays as it was."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.eviction = Uses()

    def locate(self, commit: str) -> SnapshotPaths:
        return SnapshotPaths(Path(f"/nowhere/{commit}/tree"), Path(f"/nowhere/{commit}/history.git"))

    def witness(self, commit: str) -> str:
        return f"witness {commit}"

    async def fingerprint(self, commit: str) -> str:
        await asyncio.sleep(self._rng.random() * 0.1)
        return self.witness(commit)

    async def find_missing(self, commits: Sequence[str]) -> Missing:
        await asyncio.sleep(self._rng.random() * 0.1)
        return Missing((), tuple(commits))


class Uses:
    """What snapshots are used for: nothing follows from it here."""

    figures = Figures()

    def keep(self, commit: str) -> None:
        pass

    def let_go(self, commit: str) -> None:
        pass


def _agent(name: str, folder: Path, models: Mapping[str, ModelSettings]) -> Agent:
    is_talker = name in TALKERS
    table = {"name": name, "description": "says what its script says", "argv": [TALKING if is_talker else "/agent"]}
    table |= {"dialect": "jsonl", "turns": True} if is_talker else {}
    table |= {"parameters": {RENDERED: {"pattern": "[a-z0-9.]*", "default": ""}}}
    if name != THINKER or not models:
        return Agent(name, folder, parse_spec(table))
    spec = parse_spec(table | {"network": "model", "model": "default"})
    return Agent(name, folder, spec, endpoint=models["default"].endpoint)


def _models(slots: int) -> Mapping[str, ModelSettings]:
    """One model for all hosts, in one pool; none in a world without slots."""
    table = {"url": "http://10.0.0.1", "pool": POOL, "slots": slots}
    return {"default": ModelSettings(parse_endpoint("default", table), table)} if slots else {}
