"""Foreign text in Markdown, made inert: what a repository or an agent wrote is shown and never obeyed.

Prose loses its power to make headings, lists, links, images, HTML or tables, and keeps its `code`; code keeps its characters
behind a fence that is longer than any inside; a quoted answer keeps its form but for links, images and HTML. Terminal escapes
and direction marks become visible in all of them. These are the filters that report templates have: `inert`, `cell`, `code`,
`fenced`, `quoted`.
"""

import unicodedata

MIN_FENCE = 3
# What CommonMark gives a meaning anywhere in a line, and what only at its beginning.
_ACTIVE = frozenset("\\*[]<|$")
_LINE_STARTERS = frozenset("-+=:>#~")
# What makes a tag of a `<`, beside a letter.
_TAG = ("/", "!", "?")
_PARTING = "\u200b"


def visible(text: str) -> str:
    """Text without characters that move, hide or colour other text: those are written out."""
    return "".join(_shown(character) for character in text)


def inert(text: str) -> str:
    """Prose of others, paragraphs kept."""
    paragraphs = visible(_with_plain_line_ends(str(text))).split("\n\n")
    return "\n\n".join(
        " ".join(_line(line) for line in paragraph.split("\n")) for paragraph in paragraphs if paragraph.strip()
    )


def cell(text: str) -> str:
    """Prose of others in one line, as in a heading or in a table's cell."""
    return _line(" ".join(visible(str(text)).split()))


def code(text: str) -> str:
    """Text of others as a code span in one line."""
    shown = " ".join(visible(str(text)).split())
    fence = "`" * (_longest_run(shown, "`") + 1)
    padding = " " if shown.startswith("`") or shown.endswith("`") else ""
    # A pipe ends a table's cell even inside of code.
    return f"{fence}{padding}{shown}{padding}{fence}".replace("|", "\\|") if shown else "-"


def fenced(text: str, indent: int = 0) -> str:
    """Text of others as a block of code."""
    shown = visible(_with_plain_line_ends(str(text))).strip("\n")
    fence = "`" * max(_longest_run(shown, "`") + 1, MIN_FENCE)
    return "\n".join(" " * indent + line for line in (fence + "text", *shown.split("\n"), fence))


def quoted(text: str) -> str:
    """Markdown of others as a quotation: whatever it opens ends with the quotation."""
    shown = visible(_with_plain_line_ends(str(text))).strip("\n")
    return "\n".join(f"> {_without_links(line)}".rstrip() for line in shown.split("\n"))


def _line(line: str) -> str:
    """A line of prose; what stands between two backticks is code already."""
    pieces = line.strip().split("`")
    if len(pieces) % 2 == 0 or "" in pieces[1::2]:
        return _started("\\`".join(map(_escaped, pieces)))
    shown = (code(piece) if index % 2 else _escaped(piece) for index, piece in enumerate(pieces))
    return _started("".join(shown))


def _escaped(text: str) -> str:
    return _without_addresses("".join(_safe(text, index) for index in range(len(text))))


def _safe(text: str, index: int) -> str:
    character, before, after = text[index], text[index - 1 : index], text[index + 1 : index + 2]
    is_inside_word = before.isalnum() and after.isalnum()
    is_active = (
        character in _ACTIVE
        or (character == "_" and not is_inside_word)
        or (character == "&" and (after.isalnum() or after == "#"))
        or (character == "~" and "~" in (before, after))
    )
    return f"\\{character}" if is_active else character


def _started(line: str) -> str:
    """A line whose beginning begins nothing."""
    digits = len(line) - len(line.lstrip("0123456789"))
    if line[:1] in _LINE_STARTERS or (digits and line[digits : digits + 1] in (".", ")")):
        return f"{line[:digits]}\\{line[digits:]}"
    return line


def _without_links(line: str) -> str:
    """A line without tags, links and images: what would make them is parted by a space that has no width.

    Nothing is escaped here and code is no exception: whether a backslash or a fence counts depends on all that stands before,
    and whoever writes the text knows that, too.
    """
    parted = line.replace("](", f"]{_PARTING}(").replace("]:", f"]{_PARTING}:")
    return "".join(
        f"<{_PARTING}"
        if character == "<" and (parted[index + 1 : index + 2].isalpha() or parted[index + 1 : index + 2] in _TAG)
        else character
        for index, character in enumerate(parted)
    )


def _with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _without_addresses(text: str) -> str:
    """Bare addresses, which many renderers make links of, kept as text."""
    return text.replace("://", f":{_PARTING}//").replace("www.", f"www{_PARTING}.")


def _shown(character: str) -> str:
    if character in ("\n", "\t") or character.isprintable():
        return character
    # Controls (C0, C1), marks of direction, and what is not assigned: `\x1b`, `\u202e`.
    if unicodedata.category(character) in ("Zs", "Zl", "Zp"):
        return " "
    return ascii(character)[1:-1]


def _longest_run(text: str, character: str) -> int:
    longest = run = 0
    for current in text:
        run = run + 1 if current == character else 0
        longest = max(longest, run)
    return longest


FILTERS = {"inert": inert, "cell": cell, "code": code, "fenced": fenced, "quoted": quoted}
