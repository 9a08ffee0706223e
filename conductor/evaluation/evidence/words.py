"""Tells where words and numbers go on, in any script: a quote of a part of a line must not end in the middle of one.

`price = 1000` does not stand in `price = 10000`, nor `1.5` in `11.5`, `500` in `1,500` or `-500`, `1e` in `1e-5`, `don` in `don't`.
What may be one number is one, as `10:30` or `2024-01-31`: a longer quote is not refused. Scripts that write without spaces show no
ends of words, so a quote may end anywhere in them, but not in a number. A character without width parts nothing.
"""

import re
import unicodedata

_JOINER = "\u200d"  # of emoji that are one sign
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
)
_LINKS_OF_WORDS = frozenset("-'\u2019\u02bc\u2010\u2011\u00ad\u00b7\u200c\u2060")
_LINKS_OF_DIGITS = frozenset(
    ".,:/-'_\u2019\u066b\u066c\u00a0\u00b7\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\uff0c\uff0e"
)
_POINTS = frozenset(".\u00b7\u066b\uff0e")
_SIGNS = frozenset("+-\u00b1\u2012\u2013\u2212\u2213\ufe62\ufe63\uff0b\uff0d")
_SHARES = frozenset("%\u2030\u2031\u066a\uff05")
_GROUP = re.compile(r" \d{3}(?!\w)")
_EXPONENT = re.compile(r"\.[eEpP][+-]?\d")  # behind a digit, as in `1.e5`
_MAX_UNSEEN = 8


def cuts_word(text: str, begin: int, end: int) -> bool:
    """Returns whether a word or a number goes on before or behind a piece of a text."""
    return _goes_on(text, begin) or _goes_on(text, end)


def _goes_on(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if _JOINER in (before, after) or unicodedata.category(after).startswith("M"):
        return True
    if "Cf" in (unicodedata.category(before), unicodedata.category(after)):
        before, after = _seen(text[at - 1 : max(0, at - _MAX_UNSEEN) : -1]), _seen(text[at : at + _MAX_UNSEEN])
    if before.isnumeric() and (after.isnumeric() or after in _SHARES):
        return True
    if _is_of_word(before) and _is_of_word(after):
        return not (_WITHOUT_SPACES.match(before) or _WITHOUT_SPACES.match(after))
    return _links(text, at) or _links(text, at - 1) or _is_behind_sign(text, at) or _is_in_exponent(text, at)


def _seen(text: str) -> str:
    """Returns the first character that can be seen; a space where there is none."""
    return next((character for character in text if unicodedata.category(character) != "Cf"), " ")


def _is_in_exponent(text: str, at: int) -> bool:
    """Returns whether a number goes on behind its point with an exponent."""
    return any(
        text[point - 1 : point].isdigit() and (match := _EXPONENT.match(text, point)) is not None and at < match.end()
        for point in range(max(1, at - 3), at + 1)
    )


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")


def _links(text: str, at: int) -> bool:
    """Returns whether a character holds together what stands before and behind it: two words, or digits of one number."""
    before, link, after = text[at - 1 : at], text[at], text[at + 1 : at + 2]
    if not before or not after:
        return False
    if before.isdigit() and after.isdigit():
        return link in _LINKS_OF_DIGITS or _GROUP.match(text, at) is not None
    if link in _LINKS_OF_WORDS and before.isalpha() and after.isalpha():
        return True
    return link in _SIGNS and before in "eEpP" and after.isdigit() and text[at - 2 : at - 1].isalnum()


def _is_behind_sign(text: str, at: int) -> bool:
    """Returns whether a number begins before its digits, as in `= -5` and `= .5`, other than in `a[0]-5`."""
    ahead = text[at - 2] if at > 1 else " "
    begins = text[at].isdigit() or (text[at] in _POINTS and text[at + 1 : at + 2].isdigit())
    return begins and (text[at - 1] in _SIGNS or text[at - 1] in _POINTS) and not (_is_of_word(ahead) or ahead in ")]")
