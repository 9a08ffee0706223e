"""Reads what our program `dependencies` keeps of deptry's results: a line of JSON each."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from ..lines import lines_of
from ..results import Result


def read(stream: BinaryIO) -> Iterator[Result]:
    """Yields the results."""
    for line in lines_of(stream):
        if line.startswith("{"):
            said = json.loads(line)
            number = int(said["line"])
            yield Result(str(said["code"]), "note", str(said["message"]), str(said["path"]), number, number)
