"""Defines the parts of a lens: detectors, each with words for what it looks at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .finding import Finding
from .survey import Survey


@dataclass(frozen=True, slots=True)
class Detector:
    """One look at the snapshot. `subject` completes the sentence "Looking at …".

    `languages` are those in which it answers for the whole subject; none where it does not matter what a file is written in.
    """

    subject: str
    look: Callable[[Survey], Iterable[Finding]]
    languages: tuple[str, ...] = ()
