"""The inputs of a run, as values. How they are judged is `input_rules`' business, in a worker process."""

from dataclasses import dataclass, field
from typing import Any

BANDS = ("small", "medium", "large")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run was given. `values` holds question, band and extras; `violations` are (field, text), empty when all is well."""

    values: dict[str, Any] = field(default_factory=dict)
    band: str = BANDS[0]
    question: str = ""
    violations: tuple[tuple[str, str], ...] = ()
    question_missing: bool = False
