"""Lines that fit the terminal they are printed on. In a file or a pipe nothing is cut and nothing is wrapped."""

import shutil
import sys
import textwrap

import click

# Below this nothing is fitted: it would only make a bad thing worse.
NARROWEST = 40


def width(*, err: bool = False) -> int | None:
    """Columns of the terminal behind stdout, or stderr; None where there is none, or a very narrow one."""
    stream = sys.stderr if err else sys.stdout
    columns = shutil.get_terminal_size().columns if stream.isatty() else 0
    return columns if columns >= NARROWEST else None


def wrapped(line: str, indent: int, columns: int | None) -> str:
    """Wraps a line between words; what does not fit goes below, moved in by `indent`."""
    if columns is None or len(line) <= columns:
        return line
    wrapper = textwrap.TextWrapper(
        width=columns,
        subsequent_indent=" " * indent,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.fill(line)


def cut(line: str, columns: int | None) -> str:
    """Cuts a line to fit, with an ellipsis at its end."""
    return line if columns is None or len(line) <= columns else line[: columns - 1] + "…"


def cut_before(line: str, columns: int) -> str:
    """Cuts a line to fit, with an ellipsis at its start."""
    return line if len(line) <= columns else "…" + line[len(line) - max(columns - 1, 0) :]


def say(line: str, indent: int = 4, *, err: bool = False) -> None:
    """Prints text, each of its lines wrapped for the terminal."""
    columns = width(err=err)
    for part in line.split("\n"):
        click.echo(wrapped(part, indent, columns), err=err)
