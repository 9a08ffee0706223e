"""Compares quotes that hold masked secrets with lines of the snapshot.

Hosts replace the inside of a secret by `[redacted:KIND]` before output leaves them. So the quote of a finding about a committed key
stands nowhere in the snapshot. Therefore a mask matches a piece of the cited lines that may be a secret: at least `MIN_SECRET`
characters, without white space unless it is a private key. The rest of the quote must not be empty, and must stand there character
by character; heads of tokens (`ghp_`) are not masked.

The snapshot's lines are not masked instead, because hosts mask differently (they have different keys), and no secret should travel
for this comparison. An agent may write a mask itself. Then one word of a line is not compared, which the reader sees; it can
neither move a quote nor invent a line.
"""

MASK = "[redacted:"
PRIVATE_KEY = "private-key"
MAX_MASKS = 16
MAX_KIND_CHARACTERS = 40
MIN_SECRET = 8
MIN_VISIBLE = 3


def is_masked(quote: str) -> bool:
    """Returns whether a quote holds a mask."""
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
        if begin < at + MIN_SECRET or not text.startswith(literal, begin):
            return False
        if kind != PRIVATE_KEY and any(map(str.isspace, text[at:begin])):
            return False
        at = begin + len(literal)
    return True


def _parts(quote: str) -> list[tuple[str, str]]:
    """Returns the kind of each mask with the text behind it; first, without a kind, the text before the first mask."""
    parts = [("", "")]
    position = 0
    while len(parts) <= MAX_MASKS and (begin := quote.find(MASK, position)) >= 0:
        end = quote.find("]", begin, begin + len(MASK) + MAX_KIND_CHARACTERS)
        kind = quote[begin + len(MASK) : end]
        if end < 0 or not kind.replace("-", "").isalnum():
            break
        parts[-1] = (parts[-1][0], quote[position:begin])
        parts.append((kind, ""))
        position = end + 1
    parts[-1] = (parts[-1][0], quote[position:])
    return parts
