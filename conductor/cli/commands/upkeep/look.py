"""One thing that `conductor doctor` looked at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at. `advice` says what to do when it is not good; `details` are shown always.

    `is_doubt`: nothing is known to be wrong there now, and not long ago something was.
    """

    good: bool
    text: str
    advice: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    is_doubt: bool = False

    @property
    def glyph(self) -> str:
        """Returns the mark of its line."""
        return "?" if self.is_doubt else "✔" if self.good else "✘"
