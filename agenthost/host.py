"""What this host is: its name, its agents, what confines them, and whether it takes work. The bell rings when any of it changes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agenthost.agent_specs import Agent
from agenthost.bell import Bell
from agenthost.config import Settings
from agenthost.errors import AgentUnavailableError, HostDrainingError, ReadOnlyUnavailableError, ShuttingDownError
from agenthost.sandbox import Sandbox
from agenthost.sandbox_probe import SandboxReport

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Host:
    """The host as it stands. Only `app` and the supervisor change it."""

    settings: Settings
    agents: Mapping[str, Agent]
    sandbox: Sandbox | None
    report: SandboxReport
    bell: Bell = field(default_factory=Bell)
    boot_id: str = field(default_factory=lambda: _BOOT_ID.read_text().strip())
    start_time_ns: int = field(default_factory=time.time_ns)
    draining: bool = False
    stopping: bool = False
    running: int = 0

    def count(self, change: int) -> None:
        """Notes that agents began or ended."""
        self.running += change
        self.bell.ring()

    def stop(self) -> None:
        """Takes no new work from now on, and tells everybody who watches."""
        self.draining = self.stopping = True
        self.bell.ring()

    def refuse_new_work(self) -> None:
        """Raises when nothing may begin here, whatever it is."""
        if self.stopping:
            raise ShuttingDownError
        if self.draining:
            raise HostDrainingError

    def proven_sandbox(self) -> Sandbox:
        """What confines agents; raises ReadOnlyUnavailableError where that is not proven."""
        if self.sandbox is None or not self.report.available:
            raise ReadOnlyUnavailableError(
                f"agents cannot be confined on host '{self.settings.name}': {self.report.reason}",
                hint="run `agenthost doctor` on that host",
            )
        return self.sandbox

    def agent(self, name: str) -> Agent:
        """A usable agent; raises AgentUnavailableError."""
        agent = self.agents.get(name)
        if agent is None:
            known = ", ".join(name for name, agent in self.agents.items() if agent.available)
            raise AgentUnavailableError(f"this host has no agent '{name}'; it has {known}")
        agent.usable()
        return agent
