"""Text that fits its terminal. Keeps K2."""

from servicekit.printing.cells import cut, wrapped
from servicekit.printing.page import width


def test_what_does_not_fit_goes_below_with_whole_words_and_moved_in() -> None:
    assert wrapped("  ✘ risks  failed because of this", 6, 22) == "  ✘ risks  failed\n      because of this"


def test_a_word_that_is_longer_than_the_line_stays_whole_so_that_it_can_be_copied() -> None:
    path = "/a/path/that/is/longer/than/the/line"

    assert wrapped(f"see {path}", 2, 20).split("\n") == ["see", f"  {path}"]


def test_without_a_terminal_nothing_is_wrapped_or_cut() -> None:
    line = "word " * 100

    assert width() is None
    assert wrapped(line, 4, None) == line
    assert cut(line, None) == line


def test_a_row_of_a_table_is_cut_with_an_ellipsis() -> None:
    assert cut("0123456789", 8) == "0123456…"
    assert cut("01234567", 8) == "01234567"
