"""Measures text by the columns of a terminal that it takes: two for most of Chinese, Japanese, Korean and emoji, none for a mark.

Tables are padded, cut and wrapped by these, never by the number of characters.
"""

import re
from collections.abc import Iterable, Iterator

# A command stands behind a colon and two spaces, up to its line's end, a comma, a semicolon or a bracket.
_PARTS = re.compile(r"(?<=:)(?P<before>  +)(?P<command>[^ ].*?)(?:(?<=[,;])(?= )|(?= \()|$)|(?P<gap> *)(?P<word>[^ ]+)")


def cells(text: str) -> int:
    """Returns how many columns a line of printable text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, columns: int) -> str:
    """Returns the text with spaces behind it up to so many columns."""
    return text + " " * (columns - cells(text))


def cut(line: str, columns: int | None) -> str:
    """Cuts a line to fit, with an ellipsis at its end."""
    if columns is None or cells(line) <= columns:
        return line
    return "".join(_fitting(line, columns - 1)) + "…" if columns > 0 else ""


def cut_before(line: str, columns: int) -> str:
    """Cuts a line to fit, with an ellipsis at its start."""
    if cells(line) <= columns:
        return line
    return "…" + "".join([*_fitting(reversed(line), columns - 1)][::-1]) if columns > 0 else ""


def abridged(label: str, columns: int) -> str:
    """Cuts a label in its middle to fit: labels that begin alike differ at their ends."""
    if cells(label) <= columns:
        return label
    tail = cut_before(label, max(columns - 1, 0) * 2 // 3 + 1)
    return "".join(_fitting(label, columns - cells(tail))) + tail if columns > 0 else ""


def wrapped(line: str, indent: int, columns: int | None) -> str:
    """Wraps a line between words; what does not fit goes below, moved in by `indent`.

    A long word, such as a path, stays whole, so that it can be copied, and so does a command (`see it:  conductor show x`).
    Wide characters may be parted anywhere: their scripts have no spaces.
    """
    if columns is None or cells(line) <= columns:
        return line
    done, current = list[str](), ""
    for gap, unit in _units(line.expandtabs()):
        if cells(current + gap + unit) > columns and current.strip():
            done.append(current)
            current = " " * indent + unit
        else:
            current += gap + unit
    return "\n".join([*done, current])


def _units(line: str) -> Iterator[tuple[str, str]]:
    """Yields what a line may be parted into: commands, words, each wide character of a word; each with the spaces before it."""
    for part in _PARTS.finditer(line):
        if part["command"]:
            yield part["before"], part["command"]
            continue
        unit, before = "", part["gap"]
        for character in part["word"]:
            is_wide = cells(character) > 1
            if unit and (is_wide or cells(unit[-1]) > 1) and cells(character):
                yield before, unit
                unit = before = ""
            unit += character
        yield before, unit


def _fitting(characters: Iterable[str], columns: int) -> Iterator[str]:
    for character in characters:
        columns -= cells(character)
        if columns < 0:
            return
        yield character
