"""Names the revisions of the parser and of the redaction. An attempt keeps those that its output was first read with.

Raise one when it makes other reports of the same bytes, and keep the earlier one for a release: a replay by another would give
the frames other numbers.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions that an attempt's output is read with."""

    # 2 knows notices, cuts, the end of a turn, and byte order marks; it names wrong fields, and bounds the frames
    parser: int = 1
    redaction: int = (
        1  # 2 masks ids and numbers, and names before they are cut; 3 tells masks that agents write from its own
    )


FIRST = Revisions()  # f9ac01c's, whose folders name none
LATEST = Revisions(parser=2, redaction=3)
KEPT = (FIRST, Revisions(parser=2, redaction=2), LATEST)
BOUNDED = 2  # the first parser whose frames are bounded
