"""Defines the parts of a lens: detectors, each with words for what it looks at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .finding import Finding
from .survey import Survey


@dataclass(frozen=True, slots=True)
class Detector:
    """One look at the snapshot. `subject` completes the sentence "Looking at …"."""

    subject: str
    look: Callable[[Survey], Iterable[Finding]]
