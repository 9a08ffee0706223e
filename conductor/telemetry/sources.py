"""Names what the metrics of the present are read off, and loads metrics and traces: their libraries are extras."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conductor.core.model.conductor_state import ConductorState
from conductor.errors import ConfigurationError
from conductor.hosts.host_view import HostView
from servicekit.addresses import Address

if TYPE_CHECKING:
    from conductor.telemetry.metrics import Metrics
    from conductor.telemetry.traces import Export
    from servicekit.tls.readers import ReaderDoor


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the present is read. Each is cheap: a value in memory, or the size of a file."""

    state: Callable[[], ConductorState]
    now: Callable[[], float]
    hosts: Callable[[], Iterable[HostView]]
    watchers: Callable[[], int]
    observe_reads: Callable[[Callable[[float], None]], None]
    database: Path
    version: str


def make_metrics(address: Address, sources: Sources, door: Callable[[], "ReaderDoor | None"]) -> "Metrics":
    """Returns the metrics of a conductor. Raises ConfigurationError where their library is not installed.

    `door` makes the door of their page where other machines reach it.
    """
    try:
        from conductor.telemetry.metrics import Metrics  # noqa: PLC0415 (an extra, and a service without metrics is leaner)
    except ImportError as error:
        raise ConfigurationError(
            f"--metrics needs a library that is not installed ({error})",
            hint="pip install 'conductor-agenthost[metrics]'",
        ) from error
    return Metrics(address, sources, door())


def make_span_export(endpoint: str, version: str, conductor: str) -> "Export":
    """Returns a collector of spans. Raises ConfigurationError where the library for it is not installed."""
    try:
        from conductor.telemetry.span_export import SpanExport  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ConfigurationError(
            f"traces need a library that is not installed ({error})",
            hint="pip install 'conductor-agenthost[traces]'",
        ) from error
    return SpanExport(endpoint, version, conductor)
