"""Proves the sandbox at the host's start, for every enabled agent, and on request.

The host serves meanwhile; attempts wait in `Host.confinement_of`. One proof runs at a time. Agents with the same sandbox share a
proof at the start. `probe` says what is tried, and what counts.
"""

import asyncio
from pathlib import Path
from typing import Self

import structlog

from agenthost.agent_specs import Agent, examined
from agenthost.core.sandbox.report import SandboxReport
from agenthost.errors import NotFoundError
from agenthost.host.state import Host
from agenthost.proof.probe import Proof, occupant, prove, prove_host, proven_shape

_log = structlog.get_logger()


class Prover:
    """Proves a host and its agents. Use it as a context: entering begins, leaving stops what is under way."""

    def __init__(self, host: Host, data: Path, proof: Proof = prove) -> None:
        self._host = host
        self._data = data
        self._proof = proof
        self._found = dict(host.agents)  # before any was disabled
        self._one_at_a_time = asyncio.Lock()
        self._tasks = asyncio.TaskGroup()
        self._first: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._first = self._tasks.create_task(self._begin())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._first:
            self._first.cancel()
        await self._tasks.__aexit__(*error)  # type: ignore[arg-type]

    async def check(self, name: str) -> tuple[Agent, SandboxReport]:
        """Proves an agent again, and the host before it if that had failed; returns the agent as it stands then."""
        if name not in self._found:
            raise NotFoundError("agent", name, hint=f"this host has {', '.join(self._found)}")
        async with self._one_at_a_time:
            if not self._host.report.available:
                await self._prove_all()
            elif self._found[name].available:
                await self._prove_again(name)
        return self._host.agents[name], self._host.proofs.get(name, self._host.report)

    async def _prove_again(self, name: str) -> None:
        """Proves an agent with its folders as they are now."""
        agent = await asyncio.to_thread(examined, self._found[name])
        if agent.available:
            self._found[name] = agent
            await self._prove_agent(agent)
        else:
            self._host.settle_agent(
                agent, SandboxReport(available=False, reason=agent.unavailable_reason, mechanism="")
            )

    async def _begin(self) -> None:
        async with self._one_at_a_time:
            await self._prove_all()

    async def _prove_all(self) -> None:
        await self._prove_host()
        known: list[tuple[object, SandboxReport]] = []
        for agent in self._found.values():
            if self._host.report.available and agent.available:
                shape = proven_shape(occupant(agent))
                same = [report for proven, report in known if proven == shape]
                known.append((shape, await self._prove_agent(agent, *same[:1])))

    async def _prove_host(self) -> None:
        sandbox, report = await prove_host(self._data, self._proof)
        self._host.settle(sandbox, report)
        if report.available:
            _log.info("sandbox_proven", mechanism=report.mechanism, probes=len(report.probes))
        else:
            _log.error("sandbox_unavailable", reason=report.reason)

    async def _prove_agent(self, agent: Agent, known: SandboxReport | None = None) -> SandboxReport:
        report = known or await self._proof(self._host.proven_sandbox(), self._data, occupant(agent))
        self._host.settle_agent(agent, report)
        if not report.available:
            _log.error("agent_disabled", agent=agent.name, reason=report.reason)
        return report
