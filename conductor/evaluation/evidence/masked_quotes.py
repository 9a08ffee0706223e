"""Whether a quote whose secrets the host has masked stands in lines of the snapshot.

Hosts replace the inside of a secret by `[redacted:KIND]` before anything leaves them, quotes of findings included, so a finding
about a committed key would cite what stands nowhere. Therefore a mask in a quote stands for a piece of the cited lines that
could be a secret: `MIN_SECRET` characters or more, without white space unless it is a private key's. All that is not masked
must stand there, character by character, and must be more than nothing; heads of tokens (`ghp_`) are not masked.

Why here, and not by masking the snapshot's lines likewise: what is masked may differ between hosts (their keys do), and no
secret should have to travel for the comparison. An agent may write a mask itself. It gains that one word in a line is not
compared, and the reader sees that; it can neither move a quote nor invent a line.
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
    """Returns whether the quote, each mask standing for a secret, is all that the lines hold. White space around it does not matter."""
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
    """The kind of each mask with the text behind it; first, without a kind, the text before the first mask."""
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
