"""The inputs of a run, as values. `input_rules` judges them, in a worker process."""

from dataclasses import dataclass, field
from typing import Any

from conductor.v1 import flow_service_pb2

BANDS = ("small", "medium", "large")
AUTO = "auto"  # one of them, chosen at launch (see `band_choice`)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a run. `values` holds question, band and extras; `violations` are pairs of field and text."""

    values: dict[str, Any] = field(default_factory=dict)
    band: str = BANDS[0]
    question: str = ""
    violations: tuple[tuple[str, str], ...] = ()
    question_missing: bool = False


def known_bands(flow: flow_service_pb2.Flow) -> list[str]:
    """Returns the bands that a flow knows, the smallest first."""
    return [BANDS[band - 1] for band in sorted(set(flow.bands)) if 0 < band <= len(BANDS)] or list(BANDS)
