"""Right, shifted, reformatted, invented and out-of-range citations, in every kind of file: exactly the right status. Keeps F4."""

import pytest

from conductor.evaluation.answers.results import QUOTES_NOTHING
from conductor.evaluation.evidence.citations import CitationCheck, Unread
from conductor.evaluation.evidence.findings import Evidence, Finding, count

# Three lines each; the quote is the second one.
TEXTS = {
    "ASCII": ("first = 1", "second = load(path)", "third = 3"),
    "Chinese": ("\u7b2c\u4e00\u884c = 1", "\u7ed3\u679c = \u8bfb\u53d6(\u8def\u5f84)", "\u7b2c\u4e09\u884c = 3"),
    "Arabic, with marks": ("\u0623\u0648\u0644 = 1", "\u0642\u0650\u064a\u0645\u0629 = \u062d\u0645\u0644(x)", "x = 3"),
    "emoji and wide": ("\U0001f600 = 1", "\U0001f468\u200d\U0001f469\u200d\U0001f467 = load(\U0001f4c2 path)", "end = 3"),
    "beyond the first plane": ("\U00020000 = 1", "\U00020001\U00020002 = load(path)", "end = 3"),
}  # fmt: skip
ENDS = {"LF": "\n", "CRLF": "\r\n"}
OTHER = str.maketrans({"l": "L", "\u8bfb": "\u8b80", "\u062d": "\u062c"})
HUGE = 200_000  # lines before and behind


def files(lines: tuple[str, str, str], end: str) -> dict[str, bytes]:
    text = end.join(lines) + end
    return {
        "small": text.encode(),
        "with a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "without a last end": text.removesuffix(end).encode(),
    }


def judged(data: bytes | Unread, start: int, last: int, quote: str) -> str:
    finding = Finding("low", "t", "c", "x", (Evidence("f", start, last, quote),), "s")
    return CitationCheck({"f": data}).judge(finding).status


CITATIONS = [
    # what, first line, last line, what becomes of the quote, status
    ("right", 2, 2, lambda quote: quote, "verified"),
    ("right, in a wider range", 1, 3, lambda quote: quote, "verified"),
    ("right, with other line ends and spaces around", 2, 2, lambda quote: f"  {quote}\r\n", "verified"),
    ("shifted down", 3, 3, lambda quote: quote, "moved"),
    ("shifted up", 1, 1, lambda quote: quote, "moved"),
    ("out of range", 40, 41, lambda quote: quote, "moved"),
    ("out of range, and invented", 40, 41, lambda quote: f"no{quote}", "missing"),
    ("reformatted: no spaces", 2, 2, lambda quote: quote.replace(" ", ""), "missing"),
    ("reformatted: two spaces", 2, 2, lambda quote: quote.replace(" ", "  "), "missing"),
    ("shortened with dots", 2, 2, lambda quote: quote[:-2] + "...", "missing"),
    ("with a line number", 2, 2, lambda quote: f"2: {quote}", "missing"),
    ("in other letters", 2, 2, lambda quote: quote.translate(OTHER), "missing"),
    ("invented", 2, 2, lambda _: "something else = nowhere()", "missing"),
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("end", ENDS)
def test_each_citation_has_exactly_its_status(text: str, end: str) -> None:
    lines = TEXTS[text]
    for kind, data in files(lines, ENDS[end]).items():
        for what, start, last, changed, status in CITATIONS:
            assert judged(data, start, last, changed(lines[1])) == status, (kind, what)


def test_in_a_huge_file_each_citation_has_its_status_too() -> None:
    lines = TEXTS["ASCII"]
    filler = "".join(f"filler_{number} = {number}\n" for number in range(HUGE))
    data = (filler + "\n".join(lines) + "\n" + filler).encode()
    there = HUGE + 2

    assert judged(data, there, there, lines[1]) == "verified"
    assert judged(data, there + 90_000, there + 90_000, lines[1]) == "moved"
    assert judged(data, there * 9, there * 9, lines[1]) == "moved"
    assert judged(data, there, there, "second = load(paths)") == "missing"
    assert judged(Unread("the file is too large"), there, there, lines[1]) == "missing"


@pytest.mark.parametrize("data", [b"\x7fELF\0\0second = load(path)\n", "second = load(path)\n".encode("utf-16")])
def test_in_a_binary_file_nothing_is_verified(data: bytes) -> None:
    assert judged(data, 1, 1, "second = load(path)") == "missing"


@pytest.mark.parametrize(
    ("path", "start", "last", "status"),
    [
        ("f", 2, 3, "placed"),
        ("f", 3, 4, "missing"),
        ("f", 0, 0, "missing"),
        ("image.png", 1, 1, "placed"),
        ("none", 1, 1, "missing"),
        ("../f", 1, 1, "missing"),
    ],
)
def test_a_tool_that_quotes_nothing_is_placed_and_never_verified(path: str, start: int, last: int, status: str) -> None:
    reason = QUOTES_NOTHING if start else "its lines are invalid"
    finding = Finding("low", "t", "c", "x", (Evidence(path, start, last, "", "missing", reason=reason),), "s")
    check = CitationCheck({"f": b"one\ntwo\nthree\n", "image.png": b"\x89PNG\0"})

    assert check.judge(finding, is_tool=True).status == status
    assert check.judge(finding).status == "missing"
    assert count([check.judge(finding, is_tool=True)])[status] == 1


@pytest.mark.parametrize(
    ("data", "start", "last", "quote", "reason"),
    [
        (b"one\ntwo\nthree\n", 2, 3, "two\nthree", ""),
        (b"one\r\n  two\r\nthree", 2, 2, "  two", ""),
        (b"".join(b"line %d\n" % number for number in range(100)), 1, 100, "line 0|line 11", ""),
        (b"x" * 5_000_000, 1, 1, "x" * 1000, ""),
        ("\ufeffgr\u00fc\u00dfe\n".encode(), 1, 1, "gr\u00fc\u00dfe", ""),
        (b"\xff\xfe caf\xe9\n", 1, 1, "\ufffd\ufffd caf\ufffd", ""),
        (b"\x7fELF\0\0", 1, 9, "", ""),
        (b"\1" * 2000, 1, 1, "\1" * 100, ""),
        (b"one\n", 1, 2, "", "the file has 1 line"),
        (b"", 1, 1, "", "the file has 0 lines"),
        (Unread("it is no regular file"), 1, 1, "", "it is no regular file"),
        (None, 1, 1, "", "there is no such file in the snapshot"),
    ],
)
def test_the_lines_of_a_place_are_taken_from_the_snapshot_and_cut(
    data: bytes | Unread | None, start: int, last: int, quote: str, reason: str
) -> None:
    """Keeps F4."""
    place = Evidence("f", start, last, "", "missing", reason=QUOTES_NOTHING)
    judged_place = (
        CitationCheck({"f": data}).judge(Finding("low", "t", "c", "x", (place,), "s"), is_tool=True).evidence[0]
    )
    shown = judged_place.quote.split("\n")

    assert (judged_place.status, judged_place.reason) == ("missing" if reason else "placed", reason)
    assert (f"{shown[0]}|{shown[-1]}" if len(shown) == 12 else judged_place.quote) == quote
