"""Masks text in the form of a secret, in pieces, however it is cut; and judges whether a text would have been masked so."""

from servicekit.secrets.formats import (
    FORMAT_BY_HEAD,
    HEAD_PATTERN,
    MAX_LEAD,
    SecretFormat,
    begins_word,
    is_convincing,
)

BLOCK_END = "-----"
# A mask begins so, and one that an agent wrote itself so.
MASK, ESCAPED = "[redacted:", "[redacted::"


class FormatMask:
    """Masks text in the form of a token."""

    def __init__(self) -> None:
        self._lead = ""  # what went before, as far as it can matter
        self._held = ""
        self._inside: SecretFormat | None = None

    def feed(self, new: str) -> str:
        """Returns what can be passed on by now."""
        text = f"{self._lead}{self._held}{new}"
        at = len(self._lead)
        passed: list[str] = []
        while at < len(text):
            if self._inside is not None:
                at = self._inside.end_of_body(text, at)
                if _may_go_on(text, at, self._inside):
                    break
                self._inside = None
            begin, end, found = _first_secret(text, at)
            passed.append(text[at:begin])
            at = begin
            if found is None:
                break
            passed.append(found.mask)
            at, self._inside = end, found
        self._held = text[at:]
        self._lead = text[max(0, at - MAX_LEAD) : at]
        return "".join(passed)

    def finish(self) -> str:
        """Returns what was held back, where it is not the inside of a secret."""
        held, self._held = self._held, ""
        return "" if self._inside else held


def is_masked_as(mask: str, before: str, hidden: str, after: str) -> bool:
    """Returns whether this mask would take the place of just the hidden text, between what stands before and after it."""
    formats = FormatMask()
    formats.feed(before[-MAX_LEAD:])
    following = after[: len(BLOCK_END)]  # enough to end any secret, and too little to be one
    return formats.feed(hidden + following) + formats.finish() == mask + following


def find_secret(text: str) -> str:
    """Returns the kind of the first secret in a whole text; empty where there is none."""
    _, _, found = _first_secret(text, 0)
    return found.kind if found is not None else ""


def _first_secret(text: str, at: int) -> tuple[int, int, SecretFormat | None]:
    """Returns where the first secret after `at` begins, and where its window ends; no format where more text must decide."""
    place = max(0, at - MAX_LEAD)
    while head := HEAD_PATTERN.search(text, place):
        place = head.start() + 1
        format_ = FORMAT_BY_HEAD[head[0]]
        gap = format_.gap_pattern.match(text, head.end())
        is_head = format_.stands_anywhere or begins_word(text, head.start())
        if gap is None or gap.end() < at or not is_head:
            continue
        begin = gap.end()
        window = format_.window_pattern.match(text, begin)
        end = begin if window is None else window.end()
        if end - begin == format_.window:
            if is_convincing(text[begin:end]):
                return begin, end, format_
        elif end == len(text):
            return begin, begin, None
    return len(text), len(text), None


def _may_go_on(text: str, at: int, inside: SecretFormat) -> bool:
    """Says that the next text may still belong to the secret: nothing follows, or dashes, too few to end a block."""
    rest = len(text) - at
    return rest == 0 or (inside.is_block and rest < len(BLOCK_END) and text.endswith("-" * rest))
