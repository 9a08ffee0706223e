"""Prints lines that fit the terminal they are printed on. In a file or a pipe nothing is cut and nothing is wrapped."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from servicekit.printing.cells import wrapped
from servicekit.printing.output_lost import OutputLostError
from servicekit.printing.streams import taken
from servicekit.printing.terminal_text import printable

# Below this nothing is fitted: it would only make a bad thing worse.
NARROWEST = 40


def width(*, err: bool = False) -> int | None:
    """Returns the columns of the terminal behind stdout, or stderr; None where there is none, or a very narrow one."""
    stream = sys.stderr if err else sys.stdout
    columns = shutil.get_terminal_size().columns if stream.isatty() else 0
    return columns if columns >= NARROWEST else None


def say(text: str = "", indent: int = 4, *, err: bool = False) -> None:
    """Prints text for people, harmless, each of its lines wrapped for the terminal."""
    columns = width(err=err)
    shown = taken(printable(text), sys.stderr if err else sys.stdout)
    lines = (wrapped(line, indent, columns) for line in shown.split("\n"))
    with _written(err=err) as stream:
        stream.write("\n".join(lines) + "\n")


def put(text: str, end: str = "\n") -> None:
    """Prints data on stdout: to a file or a pipe exactly its bytes as UTF-8, to a terminal harmless text."""
    with _written(err=False) as stream:
        if stream.isatty() or not hasattr(stream, "buffer"):
            stream.write(printable(text) + end)
            return
        stream.flush()
        stream.buffer.write((text + end).encode(errors="surrogateescape"))
        stream.buffer.flush()


def put_json(value: object) -> None:
    """Prints a value on stdout as JSON on one line."""
    put(json.dumps(value))


def to_its_end(work: Callable[[Callable[[str], object]], int]) -> int:
    """Lets work that tells as it goes come to its verdict, whatever becomes of its output; returns the verdict."""
    lost = list[OutputLostError]()

    def tell(text: str) -> None:
        if not lost:
            try:
                say(text)
            except OutputLostError as error:
                lost.append(error)

    code = work(tell)
    for error in lost:
        error.verdict = code
        raise error
    return code


@contextmanager
def _written(*, err: bool) -> Iterator[TextIO]:
    stream = sys.stderr if err else sys.stdout
    try:
        yield stream
        stream.flush()
    except OSError as error:
        raise OutputLostError(error, is_remark=err) from error
