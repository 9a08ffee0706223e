"""Reads the indexes of packs, which git writes."""

from pathlib import Path

_FAN_OUT = 8  # a table of 256 numbers of four bytes; the last one counts all objects


def count_objects(index: Path) -> int:
    """Returns the number of objects in a pack, by its index. Blocking."""
    with index.open("rb") as file:
        file.seek(_FAN_OUT + 255 * 4)
        return int.from_bytes(file.read(4), "big")
