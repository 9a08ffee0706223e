"""What a simulation finds."""


class Violation(AssertionError):  # noqa: N818 — it is no error of the program: it is what a simulation finds
    """A promise was broken."""
