"""Foreign text in Markdown is shown and never obeyed. Keeps E10 F6."""

import pytest
from markdown_it import MarkdownIt

from conductor.flows.language.markdown import cell, code, fenced, inert, quoted, visible

HOSTILE = (
    "# Heading",
    "- item",
    "1. item",
    "1) item",
    "> quote",
    "---",
    "===",
    "```\ncode",
    "~~~\ncode",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[text](http://example.org)",
    "![image](http://example.org/x.png)",
    "[ref]: http://example.org",
    "<http://example.org>",
    "*emphasis* and **strong** and _more_ and __most__",
    "| a | b |\n|---|---|",
    "~~gone~~",
    "&lt;b&gt; &#60;b&#62;",
    "\\*still\\*",
    "`a` and ``b`` and `c",
    "line\n===\nline\n---\n",
    "a  \nb",
    "    indented",
    "\tindented",
    "\\<b>live?</b>",
    "~~~\n```\n~~~\n<b>live?</b> [x](http://example.org)",
    "````\n```\n<script>alert(1)</script>\n````\n<script>alert(2)</script>",
    "[x]\n\n[x]: http://example.org",
    "![x][y]\n\n[y]: http://example.org",
    "[x]\\(http://example.org) \\](http://example.org)",
    "<!-- hidden -->",
    "<?php ?> <![CDATA[x]]>",
)
PROSE = {"paragraph_open", "paragraph_close", "inline", "text", "softbreak", "code_inline", "text_special"}


def tokens(text: str) -> set[str]:
    """The kinds of everything that a renderer sees."""
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return {token.type for token in parsed} | {child.type for token in parsed for child in token.children or ()}


@pytest.mark.parametrize("text", HOSTILE)
def test_prose_of_others_stays_prose(text: str) -> None:
    """Keeps F6."""
    assert tokens(inert(text)) <= PROSE
    assert tokens(cell(text)) <= PROSE


@pytest.mark.parametrize("text", HOSTILE)
def test_code_of_others_stays_one_block_of_code(text: str) -> None:
    """Keeps F6."""
    parsed = MarkdownIt("commonmark").parse(f"before\n\n{fenced(text)}\n\nafter")

    assert [token.type for token in parsed if token.type == "fence"] == ["fence"]
    assert parsed[3].content == text.strip("\n") + "\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_quotation_of_others_ends_and_links_nowhere(text: str) -> None:
    """Keeps F6."""
    parsed = MarkdownIt("commonmark").parse(f"{quoted(text)}\n\n# After")
    kinds = tokens(quoted(text))

    assert [token.type for token in parsed if token.level == 0][-1] == "heading_close"
    assert not kinds & {"link_open", "image", "html_inline", "html_block"}


@pytest.mark.parametrize("text", ["a|b", "`", "``", "a ` b `` c", " x ", "a\nb", "\x1b[31m", "|"])
def test_a_code_span_is_one_span_and_breaks_no_table(text: str) -> None:
    row = f"| {code(text)} | end |"
    parsed = MarkdownIt("commonmark").enable("table").parse(f"| a | b |\n|---|---|\n{row}\n")
    cells = [token for token in parsed if token.type == "inline"][2:]

    assert len(cells) == 2
    assert [child.type for child in cells[0].children or ()] == ["code_inline"]
    assert cells[1].content == "end"


def test_prose_reads_as_it_was_written() -> None:
    assert inert("It calls `eval(x)` in snake_case, 3 times: fine (really)!") == (
        "It calls `eval(x)` in snake_case, 3 times: fine (really)!"
    )
    assert inert("One.\n\nTwo\nlines.") == "One.\n\nTwo lines."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x9bb", "a\\x9bb"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2066b\u200b", "a\\u2066b\\u200b"),
        ("a\u2028b\xa0c", "a b c"),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("tab\tstays\n", "tab\tstays\n"),
        ("é 🙂 ñ", "é 🙂 ñ"),
    ],
)
def test_what_moves_hides_or_colours_is_written_out(text: str, shown: str) -> None:
    """Keeps E10."""
    assert visible(text) == shown
