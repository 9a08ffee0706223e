"""Tells where words and numbers go on, in any script: a quote of a part of a line must not end in the middle of one.

`price = 1000` does not stand in `price = 10000`, nor `1.5` in `11.5`, nor `500` in `1,500` or `-500`. Scripts that write without
spaces show no ends of words, so a quote may end anywhere in them.
"""

import re
import unicodedata

_JOINER = "\u200d"  # of emoji that are one sign
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
)
_DIGITS_WITH_FRACTION = re.compile(r"\.\d")
_DIGITS_OF_A_GROUP = re.compile(r",\d{3}(?!\d)")


def cuts_word(text: str, begin: int, end: int) -> bool:
    """Returns whether a word or a number goes on before or behind a piece of a text."""
    return _goes_on(text, begin) or _goes_on(text, end)


def _goes_on(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if _JOINER in (before, after) or unicodedata.category(after).startswith("M"):
        return True
    if _is_of_word(before) and _is_of_word(after):
        return not (_WITHOUT_SPACES.match(before) or _WITHOUT_SPACES.match(after))
    return _is_inside_number(text, at)


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")


def _is_inside_number(text: str, at: int) -> bool:
    """Returns whether a place is beside a point, a comma or a sign that belongs to a number."""
    before, after = text[at - 1], text[at]
    if before.isdigit():
        return _separates(text, at)
    if not after.isdigit():
        return False
    ahead = text[at - 2] if at > 1 else " "
    if before in "+-":
        return not (_is_of_word(ahead) or ahead in ")]")
    return ahead.isdigit() and _separates(text, at - 1)


def _separates(text: str, at: int) -> bool:
    return bool(_DIGITS_WITH_FRACTION.match(text, at) or _DIGITS_OF_A_GROUP.match(text, at))
