"""Holds the state of this host: name, agents, sandbox, proof, and whether it takes work."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from agenthost.agent_specs import Agent, tried
from agenthost.config import Settings
from agenthost.core.models.facts import ModelFacts
from agenthost.core.models.pools import ModelPool, pool_of
from agenthost.core.models.rate_limits import LONGEST_WAIT_SECONDS
from agenthost.core.sandbox.report import UNPROVEN, SandboxReport
from agenthost.errors import AgentUnavailableError, HostDrainingError, ReadOnlyUnavailableError, ShuttingDownError
from agenthost.sandbox.find import Sandbox
from agenthost.system.change import Change

# A start waits so long for the first answer of its model's endpoint: an agent that is not told its context guesses.
FACTS_SECONDS = 2.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Host:
    """Holds the host as it stands, and tells of every change. Only `app`, the supervisor and the prover change it."""

    settings: Settings
    agents: Mapping[str, Agent]
    sandbox: Sandbox | None = None
    report: SandboxReport = UNPROVEN
    proofs: dict[str, SandboxReport] = field(default_factory=dict)  # by agent
    models: dict[str, ModelFacts] = field(default_factory=dict)  # by the NAME of [models.NAME]
    addresses: Mapping[str, str] = field(default_factory=dict)  # of endpoints that are configured by name
    change: Change = field(default_factory=Change)
    boot_id: str = field(default_factory=lambda: _BOOT_ID.read_text().strip())
    start_time_ns: int = field(default_factory=time.time_ns)
    draining: bool = False
    stopping: bool = False
    ends_agents: bool = False  # when it stops; otherwise they go on, for the next daemon
    running: int = 0
    quiet: dict[str, float] = field(default_factory=dict)  # pools that want no request, until when by the steady clock
    instance: str = ""  # of its data folder

    def count(self, change: int) -> None:
        """Notes that agents began or ended."""
        self.running += change
        self.change.notify()

    def stop(self) -> None:
        """Takes no new work from now on, and tells all watchers."""
        self.draining = self.stopping = True
        self.change.notify()

    def refuse_new_work(self) -> None:
        """Raises when the host takes no new work at all."""
        if self.stopping:
            raise ShuttingDownError
        if self.draining:
            raise HostDrainingError

    def settle(self, sandbox: Sandbox | None, report: SandboxReport) -> None:
        """Notes whether agents can be confined on this host."""
        self.sandbox, self.report = sandbox, report
        self.change.notify()

    def settle_agent(self, agent: Agent, report: SandboxReport) -> None:
        """Notes whether one agent's own sandbox holds, and disables the agent if it does not."""
        if not report.available:
            agent = replace(agent, unavailable_reason=f"its sandbox is not proven: {report.reason}")
        self.proofs[agent.name] = report
        self.agents = {**self.agents, agent.name: agent}
        self.change.notify()

    def refuse_moved(self, agent: Agent) -> None:
        """Disables an agent whose folders are not those that were proven, and raises AgentUnavailableError."""
        if moved := agent.moved():
            self.settle_agent(agent, SandboxReport(available=False, reason=moved, mechanism=self.report.mechanism))
            self.agent(agent.name)

    def settle_model(self, name: str, facts: ModelFacts) -> None:
        """Notes what an endpoint told of itself."""
        if self.models.get(name) != facts:
            self.models[name] = facts
            self.change.notify()

    def note_quiet(self, pool: str, seconds: float) -> None:
        """Notes that the endpoint of a pool wants no request for a time, as it told an agent of this host."""
        now = time.monotonic()
        quiet = {name: until for name, until in self.quiet.items() if until > now}
        self.quiet = {**quiet, pool: max(quiet.get(pool, 0.0), now + min(seconds, LONGEST_WAIT_SECONDS))}
        self.change.notify()

    def quiet_seconds(self, pool: str) -> float:
        """Returns for how much longer a pool wants no request; 0 where it takes some."""
        return max(0.0, self.quiet.get(pool, 0.0) - time.monotonic())

    def pools(self) -> dict[str, ModelPool]:
        """Returns the pool of each model, by the NAME of [models.NAME]."""
        return {
            name: pool_of(
                model.endpoint,
                self.models.get(name, ModelFacts()).slots,
                self.settings.name,
                self.addresses.get(name, ""),
            )
            for name, model in self.settings.models.items()
        }

    def shown(self, agent: Agent) -> Agent:
        """Returns an agent as it can be used now, with what its endpoint tells."""
        facts = self.models.get(agent.endpoint.name) if agent.endpoint else None
        return agent.knowing(facts) if facts else agent

    async def facts_of(self, name: str) -> ModelFacts:
        """Returns the facts of an endpoint; waits a moment for the first ones."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FACTS_SECONDS):
                while name in self.models and not self.models[name].is_asked:
                    await self.change.subscribe().wait()
        return self.models.get(name, ModelFacts())

    async def confinement_of(self, name: str) -> Sandbox:
        """Waits until the host's and the agent's sandbox are proven, and returns it; raises as `refuse_unproven` and `agent` do."""
        while True:
            changed = self.change.subscribe()
            self.refuse_new_work()
            self.refuse_unproven()
            self.agent(name)
            if not self.report.pending and name in self.proofs:
                return self.proven_sandbox()
            await changed.wait()

    def refuse_unproven(self) -> None:
        """Raises when the proof was tried and failed; while it is under way, work may wait for it."""
        if not self.report.pending:
            self.proven_sandbox()

    def proven_sandbox(self) -> Sandbox:
        """Returns the proven sandbox; raises ReadOnlyUnavailableError where there is none."""
        if self.sandbox is None or not self.report.available:
            raise ReadOnlyUnavailableError(
                f"host '{self.settings.name}' cannot confine agents: {self.report.reason}",
                hint="run `agenthost doctor` on that host",
            )
        return self.sandbox

    def agent(self, name: str) -> Agent:
        """Returns a usable agent; raises AgentUnavailableError."""
        found = self.agents.get(name)
        if found is None:
            known = ", ".join(name for name, agent in self.agents.items() if agent.available)
            raise AgentUnavailableError(f"host '{self.settings.name}' has no agent '{name}'; it has {known or 'none'}")
        agent = tried(found)
        agent.usable()
        return agent
