"""The inputs of a run, as values. `input_rules` judges them, in a worker process."""

from dataclasses import dataclass, field
from typing import Any

BANDS = ("small", "medium", "large")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a run. `values` holds question, band and extras; `violations` are pairs of field and text."""

    values: dict[str, Any] = field(default_factory=dict)
    band: str = BANDS[0]
    question: str = ""
    violations: tuple[tuple[str, str], ...] = ()
    question_missing: bool = False
