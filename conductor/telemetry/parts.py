"""Makes the metrics and traces that the settings ask for. Their libraries are extras, and loaded here alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from conductor.config import Settings
from conductor.errors import ConfigurationError
from conductor.store.port import Store
from conductor.telemetry.sources import Sources

if TYPE_CHECKING:
    from conductor.telemetry.metrics import Metrics
    from conductor.telemetry.traces import Export, Traces
    from servicekit.calls.callers import Caller
    from servicekit.tls.readers import AdmitReader, Reader, ReaderDoor

# Makes what admits readers of the page of metrics from another machine, of what their certificates tell.
AdmitReaders = Callable[[Callable[["Reader"], "Caller | None"]], "AdmitReader"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What follows the engine for operators; each is None where no setting asks for it."""

    metrics: "Metrics | None" = None
    traces: "Traces | None" = None

    @property
    def parts(self) -> "tuple[Metrics | Traces, ...]":
        """Returns what observes the engine, and is to be run."""
        return tuple(one for one in (self.metrics, self.traces) if one is not None)


def make_telemetry(settings: Settings, store: Store, sources: Sources, admit: AdmitReaders) -> Telemetry:
    """Makes what the settings ask for. Raises ConfigurationError where a library for it is not installed."""
    return Telemetry(_make_metrics(settings, store, sources, admit), _make_traces(settings, store, sources))


def _make_metrics(settings: Settings, store: Store, sources: Sources, admit: AdmitReaders) -> "Metrics | None":
    if settings.metrics is None:
        return None
    try:
        from conductor.telemetry.metrics import Metrics  # noqa: PLC0415 (an extra, and a service without metrics is leaner)
    except ImportError as error:
        raise ConfigurationError(
            f"--metrics needs a library that is not installed ({error})",
            hint="pip install 'conductor-agenthost[metrics]'",
        ) from error
    metrics = Metrics(settings.metrics, sources, _make_door(settings, admit))
    store.observe_reads(metrics.note_read)
    return metrics


def _make_door(settings: Settings, admit: AdmitReaders) -> "ReaderDoor | None":
    """Returns the door of the page of metrics, where other machines reach it."""
    if settings.metrics is None or settings.metrics.is_local or settings.tls.serving is None:
        return None
    # A conductor without TLS does not load the library that reads certificates.
    from servicekit.tls.readers import ReaderDoor  # noqa: PLC0415

    return ReaderDoor(settings.tls.serving, settings.data, admit)


def _make_traces(settings: Settings, store: Store, sources: Sources) -> "Traces | None":
    """Returns what tells a collector; None without one, and where one that only a variable names cannot be told."""
    collector = settings.traces
    if not collector.endpoint:
        if collector.problem:
            _log.warning("traces_not_sent", why=collector.problem)
        return None
    try:
        export = _make_export(collector.endpoint, sources.version, store.conductor_id)
    except ConfigurationError as error:
        if not collector.variable:
            raise
        _log.warning("traces_not_sent", why=str(error), hint=error.hint)
        return None
    from conductor.telemetry.traces import Traces  # noqa: PLC0415 (a service without traces is leaner)

    return Traces(store, export, settings.data, ongoing=lambda run: sources.state().run(run), now=sources.now)


def _make_export(endpoint: str, version: str, conductor: str) -> "Export":
    try:
        from conductor.telemetry.span_export import SpanExport  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ConfigurationError(
            f"traces need a library that is not installed ({error})",
            hint="pip install 'conductor-agenthost[traces]'",
        ) from error
    return SpanExport(endpoint, version, conductor)
