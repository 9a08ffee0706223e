"""Compares quotes that hold masked secrets with lines of the snapshot.

Hosts replace the inside of a secret by `[redacted:KIND]` before output leaves them. So the quote of a finding about a committed key
stands nowhere in the snapshot. Therefore a mask matches a piece of the cited lines, if a host would have put just this mask in its
place: the piece has the form of its kind, behind a head such as `ghp_`, which is not masked. The rest of the quote must not be
empty, and must stand there character by character.

The snapshot's lines are not masked instead, because hosts mask differently (they have different keys), and no secret should travel
for this comparison. For a value that only a host knows, `[redacted:secret]`, the form is that of a word without quotes and
brackets.

A mask that an agent wrote itself is spelt `[redacted::KIND]` by its host (`agenthost.core.output.redaction`): it is text, and
stands for no secret. Hosts of f9ac01c let it pass as their own; then the form alone decides.
"""

import re

from servicekit.secrets.mask import ESCAPED, MASK, is_masked_as

VALUE = "secret"
MAX_MASKS = 16
MAX_KIND_CHARACTERS = 40
MIN_SECRET = 8
MIN_VISIBLE = 3
_VALUE_FORM = re.compile(r"[^\s\"'`()\[\]{}<>,;]{8,}")


def as_written(quote: str) -> str:
    """Returns a quote as its agent wrote it: masks of its own are text."""
    return quote.replace(ESCAPED, MASK)


def is_masked(quote: str) -> bool:
    """Returns whether a quote holds a mask that its host made."""
    return len(_parts(quote)) > 1


def stands_masked(quote: str, lines: str) -> bool:
    """Returns whether the lines hold just the quote, with a secret for each mask. White space around it does not matter."""
    first, *others = _parts(quote.strip())
    text = lines.strip()
    visible = "".join((first[1], *(literal for _, literal in others)))
    if not others or not text.startswith(first[1]) or len(visible) - sum(map(str.isspace, visible)) < MIN_VISIBLE:
        return False
    at = len(first[1])
    for number, (kind, literal) in enumerate(others, 1):
        is_last = number == len(others)
        begin = len(text) - len(literal) if is_last else text.find(literal, at + MIN_SECRET)
        if begin < at + MIN_SECRET or not text.startswith(literal, begin) or not _has_form(kind, text, at, begin):
            return False
        at = begin + len(literal)
    return True


def _has_form(kind: str, text: str, begin: int, end: int) -> bool:
    if kind == VALUE:
        return _VALUE_FORM.fullmatch(text, begin, end) is not None
    return is_masked_as(f"{MASK}{kind}]", text[:begin], text[begin:end], text[end:])


def _parts(quote: str) -> list[tuple[str, str]]:
    """Returns the kind of each mask with the text behind it; first, without a kind, the text before the first mask."""
    parts = [("", "")]
    position = look = 0
    while len(parts) <= MAX_MASKS and (begin := quote.find(MASK, look)) >= 0:
        look = begin + len(MASK)
        if quote.startswith(ESCAPED, begin):
            continue
        end = quote.find("]", begin, look + MAX_KIND_CHARACTERS)
        kind = quote[look:end]
        if end < 0 or not kind.replace("-", "").isalnum():
            break
        parts[-1] = (parts[-1][0], as_written(quote[position:begin]))
        parts.append((kind, ""))
        position = look = end + 1
    parts[-1] = (parts[-1][0], as_written(quote[position:]))
    return parts
