"""Turns names from outside into labels, of which there are only so many: no caller and no host can grow the page."""

MAX_NAMES = 50
MAX_NAME_CHARACTERS = 100
OTHER = "other"


class BoundedNames:
    """The names that came first. All others share one label."""

    def __init__(self, most: int = MAX_NAMES) -> None:
        self._most = most
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        """Returns the label for a name."""
        cut = name[:MAX_NAME_CHARACTERS].encode(errors="replace").decode()
        if cut not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(cut)
        return cut
