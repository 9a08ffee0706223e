"""Makes foreign text inert in Markdown: texts of a repository or an agent are shown and never obeyed.

Prose can make no headings, lists, links, images, HTML or tables, and keeps its `code`. Code keeps its characters behind a fence
that is longer than any inside. A quoted answer keeps its form without links, images and HTML. Terminal escapes and direction marks
become visible everywhere. Report templates have these functions as filters: `inert`, `cell`, `code`, `fenced`, `quoted`.
"""

import unicodedata

MIN_FENCE = 3
# Characters with a meaning in CommonMark: anywhere in a line, and only at its beginning.
_ACTIVE = frozenset("\\*[]<|$")
_LINE_STARTERS = frozenset("-+=:>#~")
# Characters that make a tag of a `<`, beside letters.
_TAG = ("/", "!", "?")
_PARTING = "\u200b"


def visible(text: str) -> str:
    """Returns the text with its characters written out that move, hide or colour other text."""
    return text if text.isprintable() else "".join(_shown(character) for character in text)


def inert(text: str) -> str:
    """Returns foreign prose with its paragraphs."""
    paragraphs = visible(_with_plain_line_ends(str(text))).split("\n\n")
    return "\n\n".join(
        " ".join(_line(line) for line in paragraph.split("\n")) for paragraph in paragraphs if paragraph.strip()
    )


def cell(text: str) -> str:
    """Returns foreign prose in one line, for a heading or a table's cell."""
    return _line(" ".join(visible(str(text)).split()))


def code(text: str) -> str:
    """Returns foreign text as a code span in one line."""
    shown = " ".join(visible(str(text)).split())
    fence = "`" * (_longest_run(shown, "`") + 1)
    padding = " " if shown.startswith("`") or shown.endswith("`") else ""
    # A pipe ends a table's cell, also inside code.
    return f"{fence}{padding}{shown}{padding}{fence}".replace("|", "\\|") if shown else "-"


def fenced(text: str, indent: int = 0) -> str:
    """Returns foreign text as a block of code."""
    shown = visible(_with_plain_line_ends(str(text))).strip("\n")
    fence = "`" * max(_longest_run(shown, "`") + 1, MIN_FENCE)
    return "\n".join(" " * indent + line for line in (fence + "text", *shown.split("\n"), fence))


def quoted(text: str) -> str:
    """Returns foreign Markdown as a quotation: everything that it opens ends with the quotation."""
    shown = visible(_with_plain_line_ends(str(text))).strip("\n")
    return "\n".join(f"> {_without_links(line)}".rstrip() for line in shown.split("\n"))


def _line(line: str) -> str:
    """Returns a line of prose; text between two backticks is code already."""
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
    """Returns the line with an escaped beginning, where it would start a block."""
    digits = len(line) - len(line.lstrip("0123456789"))
    if line[:1] in _LINE_STARTERS or (digits and line[digits : digits + 1] in (".", ")")):
        return f"{line[:digits]}\\{line[digits:]}"
    return line


def _without_links(line: str) -> str:
    """Returns the line without tags, links and images: a space without width parts their characters.

    Nothing is escaped, in code neither: whether a backslash or a fence counts depends on all text before it, which an attacker
    writes.
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
    """Returns the text with parted addresses, which many renderers would make links of."""
    return text.replace("://", f":{_PARTING}//").replace("www.", f"www{_PARTING}.")


def _shown(character: str) -> str:
    if character in ("\n", "\t") or character.isprintable():
        return character
    # Controls (C0, C1), marks of direction, and unassigned characters: `\x1b`, `\u202e`.
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
