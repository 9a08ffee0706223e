"""The metrics of a host: executions as they end, the use of models, and how the host stands; and the server of their page."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from prometheus_client import Counter as Count
from prometheus_client import Histogram
from prometheus_client.core import Metric

from agenthost.attempt.execution import Execution
from agenthost.errors import ConfigurationError, StatusError
from agenthost.telemetry.model_metrics import READ_SECONDS, ModelMetrics
from agenthost.telemetry.sources import Sources
from servicekit.addresses import Address, AddressError
from servicekit.metrics.exposition import Exposition
from servicekit.metrics.families import gauge, gauges
from servicekit.metrics.loop_lag import LoopLag
from servicekit.metrics.page import CONTENT_TYPE, MINUTES, Page, make_registry

if TYPE_CHECKING:
    from servicekit.tls.readers import ReaderDoor

MAX_POOLS = 100


class Metrics:
    """Counts what ends, and serves the page. Run it beside the host."""

    def __init__(self, address: Address, sources: Sources, door: "ReaderDoor | None") -> None:
        registry = make_registry()
        self._sources = sources
        self._models = ModelMetrics(tuple(sources.host.settings.models))
        self._lag = LoopLag("agenthost", registry)
        self._ended = Count("agenthost_executions_ended", "Executions that ended.", ["cause"], registry=registry)
        self._refused = Count(
            "agenthost_executions_refused", "Starts that were refused.", ["reason"], registry=registry
        )
        self._seconds = Histogram(
            "agenthost_execution_duration_seconds",
            "From an agent's release to its end.",
            buckets=MINUTES,
            registry=registry,
        )
        self._free_bytes = 0
        self.exposition = Exposition(address, Page(registry, self._gather).read, CONTENT_TYPE, door)

    def note_end(self, execution: Execution, refusal: StatusError | None = None) -> None:
        """Counts an execution that has ended, or that was refused."""
        if refusal is not None:
            self._refused.labels(refusal.reason).inc()
        elif execution.ending is not None:
            self._ended.labels(execution.ending.cause).inc()
            self._seconds.observe(max(0.0, execution.ending.elapsed_seconds))
            self._models.note_end(execution)

    async def run(self) -> None:
        """Serves the page. Raises ConfigurationError where nothing can listen at its address."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lag.run())
            tasks.create_task(self._keep_reading())
            try:
                await self.exposition.run()
            except AddressError as error:
                hint = "give another address:  agenthost serve --metrics ADDRESS"
                raise ConfigurationError(str(error), hint=hint) from error

    async def _keep_reading(self) -> None:
        while True:
            await self._models.keep_reading([one for one in self._sources.executions() if not one.ended])
            with suppress(OSError):
                disk = await asyncio.to_thread(os.statvfs, self._sources.data)
                self._free_bytes = disk.f_bavail * disk.f_frsize
            await asyncio.sleep(READ_SECONDS)

    def _gather(self) -> Iterator[Metric]:
        host = self._sources.host
        yield gauges("agenthost_info", "The host's version.", "version", {self._sources.version: 1})
        yield gauge("agenthost_slots", "Agents that may run at once.", host.settings.slots)
        yield gauge("agenthost_executions_running", "Executions that have not ended.", host.running)
        unheard = sum(one.ended for one in self._sources.executions())
        yield gauge("agenthost_executions_unacknowledged", "Ends that no conductor has acknowledged.", unheard)
        yield gauge("agenthost_draining", "1 where the host takes no new work.", host.draining)
        yield from self._gather_confinement()
        yield from self._models.gather()
        known = {name: facts.is_asked and not facts.problem for name, facts in list(host.models.items())}
        yield gauges("agenthost_model_up", "1 where a model's endpoint answers.", "model", known)
        pools = {pool.name: pool.slots for pool in list(host.pools().values())[:MAX_POOLS]}
        yield gauges("agenthost_pool_slots", "Requests that a pool's server works on at once.", "pool", pools)
        yield gauge("agenthost_gateway_up", "1 where the gateway to the models runs.", self._sources.gateway_runs())
        snapshots = self._sources.snapshots()
        yield gauge("agenthost_snapshots", "Snapshots that are kept.", snapshots.count)
        yield gauge("agenthost_snapshots_bytes", "Their size, roughly.", snapshots.byte_count)
        yield gauge("agenthost_disk_free_bytes", "Free bytes of the data folder's disk.", self._free_bytes)

    def _gather_confinement(self) -> Iterator[Metric]:
        host = self._sources.host
        yield gauge("agenthost_sandbox_proven", "1 where the sandbox is proven.", host.report.available)
        passed = Counter("passed" if probe.passed else "failed" for probe in host.report.probes)
        results = {result: passed[result] for result in ("passed", "failed")}
        yield gauges("agenthost_sandbox_probes", "What the last proof tried, by result.", "result", results)
        states = Counter("usable" if agent.available else "unusable" for agent in host.agents.values())
        usable = {state: states[state] for state in ("usable", "unusable")}
        yield gauges("agenthost_agents", "Agents that are installed here.", "state", usable)
        proven = sum(report.available for report in list(host.proofs.values()))
        yield gauge("agenthost_agents_proven", "Agents whose own sandbox is proven.", proven)
