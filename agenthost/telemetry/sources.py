"""Names what a host's metrics are read off, and loads them: their library is an extra."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agenthost.attempt.execution import Execution
from agenthost.errors import ConfigurationError
from agenthost.host.state import Host
from agenthost.snapshots.eviction import Figures
from servicekit.addresses import Address

if TYPE_CHECKING:
    from agenthost.telemetry.metrics import Metrics
    from servicekit.tls.readers import ReaderDoor


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the present is read. Each is cheap: a value in memory."""

    host: Host
    data: Path
    executions: Callable[[], Sequence[Execution]]
    snapshots: Callable[[], Figures]
    gateway_runs: Callable[[], bool]
    version: str


@asynccontextmanager
async def serving_metrics(metrics: "Metrics | None") -> AsyncIterator[None]:
    """Serves metrics, where there are any, until the block is left."""
    if metrics is None:
        yield
        return
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(metrics.run())
        yield
        task.cancel()


def make_metrics(address: Address, sources: Sources, door: Callable[[], "ReaderDoor | None"]) -> "Metrics":
    """Returns the metrics of a host. Raises ConfigurationError where their library is not installed.

    `door` makes the door of their page where other machines reach it.
    """
    try:
        from agenthost.telemetry.metrics import Metrics  # noqa: PLC0415 (an extra, and a host without metrics is leaner)
    except ImportError as error:
        raise ConfigurationError(
            f"--metrics needs a library that is not installed ({error})",
            hint="pip install 'conductor-agenthost[metrics]'",
        ) from error
    return Metrics(address, sources, door())
