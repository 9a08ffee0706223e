"""Nothing from outside acts on a person's terminal. Keeps E10 (the terminal's half)."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.printing.cells import cells
from servicekit.printing.terminal_text import one_line, printable, safe_json


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1;2|payload\x1b\\after", "after"),
        ("\x9b2Jcleared", "cleared"),
        ("over\rwritten", "over\nwritten"),
        ("dos\r\nline", "dos\nline"),
        ("\u202etxt.exe", "txt.exe"),
        ("a\u061cb\u00adc\u180ed\ufff9e\U000e0041f", "abcdef"),
        ("zero\u200bwidth", "zerowidth"),
        ("\u2714\ufe0f x\U000e0101y\u115fz\u034f", "\u2714 xyz"),
        ("\x1b]0;never ended\nnext line", "0;never ended\nnext line"),
        ("\x9d0;title\x9ctext", "text"),
        ("a\x85b\u2028c\u2029d\x0ce", "a\nb\nc\nd\ne"),
        ("a\ue000b\ufffec", "a\ufffdb\ufffdc"),
        ("caf\udce9 \ud800", "caf\\xe9 \\ud800"),
        ("Z" + "\u0301" * 40, "Z" + "\u0301" * 4),
        ("bell\x07 null\x00 back\x08", "bell null back"),
        ("cut in the middle \x1b[3", "cut in the middle 3"),
        ("kept\ttab\nand line", "kept\ttab\nand line"),
    ],
)
def test_escapes_leave_only_their_text(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    for character in printable(text):
        assert character in "\t\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(), st.sampled_from(["\u009b", "\u202e", "\x7f", "\U000e0041"]))
def test_json_is_made_harmless_and_means_the_same(text: str, hostile: str) -> None:
    document = safe_json(json.dumps({"told": f"{text}{hostile}"}, ensure_ascii=False))

    assert hostile not in document
    assert json.loads(document) == {"told": f"{text}{hostile}"}


@given(st.text(alphabet="\x1b[]0123456789;mKP\\\x07\x9b\x9cab"))
def test_no_mixture_of_sequences_leaves_an_escape(text: str) -> None:
    assert not set(printable(text)) & {"\x1b", "\x9b", "\x07", "\x9c"}


@given(st.text(), st.integers(min_value=1, max_value=80))
def test_one_line_is_one_line_and_never_wider_than_asked(text: str, width: int) -> None:
    line = one_line(text, width)

    assert "\n" not in line
    assert cells(line) <= width
