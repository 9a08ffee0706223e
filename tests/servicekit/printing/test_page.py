"""Text that fits its terminal. Keeps K2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.printing.cells import abridged, cells, cut, cut_before, padded, wrapped
from servicekit.printing.page import width
from servicekit.printing.terminal_text import printable


def test_what_does_not_fit_goes_below_with_whole_words_and_moved_in() -> None:
    assert wrapped("  ✘ risks  failed because of this", 6, 22) == "  ✘ risks  failed\n      because of this"


def test_a_word_that_is_longer_than_the_line_stays_whole_so_that_it_can_be_copied() -> None:
    path = "/a/path/that/is/longer/than/the/line"

    assert wrapped(f"see {path}", 2, 20).split("\n") == ["see", f"  {path}"]


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("what it logged:    show x --channel log", ["what it logged:", "  show x --channel log"]),
        ("see:  show x, or look there", ["see:  show x, or look", "  there"]),
        ("see:  show x --all (a longer remark)", ["see:  show x --all (a", "  longer remark)"]),
        ("see:  show 日本語 --channel log --follow", ["see:", "  show 日本語 --channel log --follow"]),
        ("a word: another one, and more", ["a word: another one, and", "  more"]),
    ],
)
def test_a_command_stays_on_one_line_so_that_it_can_be_pasted(line: str, lines: list[str]) -> None:
    assert wrapped(line, 2, 24).split("\n") == lines


def test_without_a_terminal_nothing_is_wrapped_or_cut() -> None:
    line = "word " * 100

    assert width() is None
    assert wrapped(line, 4, None) == line
    assert cut(line, None) == line


def test_a_row_of_a_table_is_cut_with_an_ellipsis() -> None:
    assert cut("0123456789", 8) == "0123456…"
    assert cut("01234567", 8) == "01234567"


def test_wide_characters_take_two_columns_and_are_parted_anywhere() -> None:
    lines = wrapped("✔ 日本語の長い一行です  succeeded", 4, 14).split("\n")

    assert lines == ["✔ 日本語の長い", "    一行です", "    succeeded"]
    assert max(map(cells, lines)) == 14
    assert padded("日本", 6) + "|" == "日本  |"
    assert (cut("日本語です", 6), cut_before("日本語です", 6), abridged("日本語ですか", 8)) == (
        "日本…",
        "…です",
        "日…すか",
    )


@given(st.text(), st.integers(min_value=4, max_value=80))
def test_what_is_cut_fits(text: str, columns: int) -> None:
    line = printable(text).replace("\n", " ").replace("\t", " ")

    assert all(cells(made(line, columns)) <= columns for made in (cut, cut_before, abridged))
