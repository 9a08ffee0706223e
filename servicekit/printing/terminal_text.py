"""Makes text from outside safe for a person's terminal: no escapes, no tricks with direction, nothing invisible.

Agents' output, repository content, arguments and server messages all pass here before they are printed for people.
"""

import json
import re
import unicodedata

from servicekit.printing.cells import cut, padded

# ESC sequences first (CSI, OSC and DCS with their bodies), so that "ESC[31m" leaves no "[31m" behind.
# A body ends with its line: one that nothing terminates must not hide the rest of the text.
_SEQUENCES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])(?:[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c))?"
    "|\x1b[ -/]*[0-~]?"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Characters that Unicode calls ignorable: no terminal shows them, though their category is that of a letter or a mark.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
_HIDDEN = frozenset({"Cc", "Cf", "Zl", "Zp"})
_UNKNOWN = frozenset({"Co", "Cn"})
# More marks on one letter would be drawn over the lines above it.
MARKS = 4
LONGEST_FIELD = 200


def printable(text: str) -> str:
    """Returns text that cannot act on a terminal and hides nothing. Tabs and newlines stay; every line end becomes a newline."""
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCES.sub("", _LINE_ENDS.sub("\n", text))
    used = set(text) - {"\n", "\t"}
    unsafe = {ord(one): _replacement(one) for one in used if not one.isprintable() or _IGNORABLE.match(one)}
    text = text.translate(unsafe) if unsafe else text
    marks = "".join(one for one in used if _is_mark(one) and ord(one) not in unsafe)
    return re.sub(f"([{re.escape(marks)}]{{{MARKS}}})[{re.escape(marks)}]+", r"\1", text) if marks else text


def _replacement(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return escaped(character)
    if category in _UNKNOWN and not _IGNORABLE.match(character):
        return "\ufffd"
    return "" if category in _HIDDEN or _IGNORABLE.match(character) else character


def escaped(character: str) -> str:
    r"""Returns a character as `\u2714`; a byte that was no UTF-8 in an argument or a path, as `\xe9`."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode()


def safe_json(document: str) -> str:
    """Returns JSON whose strings hold no character that `printable` would take away: such ones are escaped, and mean the same."""
    unsafe = {one for one in set(document) - {"\n"} if printable(one) != one}
    return document.translate({ord(one): json.dumps(one)[1:-1] for one in unsafe})


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Me"}


def one_line(text: str, width: int) -> str:
    """Returns printable text on one line of at most `width` columns, cut with an ellipsis."""
    return cut(" ".join(printable(text).split()), width)


def column(text: str, columns: int) -> str:
    """Returns printable text on one line with spaces behind it up to so many columns; a longer text stays whole."""
    return padded(one_line(text, LONGEST_FIELD), columns)
