"""Arbitrary texts: readers do not break, prose stays prose, and a quote out of a file is verified. Keeps A4 F4 F6."""

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from conductor.evaluation.evidence.citations import CitationCheck, CitedText
from conductor.evaluation.evidence.findings import Evidence, Finding
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_text
from conductor.flows.language.markdown import cell, code, fenced, inert, quoted
from conductor.flows.library.personas import parse_persona

PROSE = {"paragraph_open", "paragraph_close", "inline", "text", "softbreak", "code_inline", "text_special"}
LIVE = {"link_open", "image", "html_inline", "html_block"}
marked = st.text(st.sampled_from("`*_[]()<>!#|~\\&;:/-+=.1ab \n\t\u200b\x1b\"'{}%"), max_size=60)
flow_like = st.text(st.sampled_from("steps: [{id}]\n - ab\"'|>&*!{%}#,?\t\\u"), max_size=80)
quick = settings(max_examples=150)


def kinds(text: str) -> set[str]:
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return {token.type for token in parsed} | {child.type for token in parsed for child in token.children or ()}


@quick
@given(marked)
def test_prose_stays_prose(text: str) -> None:
    assert kinds(inert(text)) <= PROSE
    assert kinds(cell(text)) <= PROSE


@quick
@given(marked)
def test_quotations_hold_nothing_live(text: str) -> None:
    assert not kinds(quoted(text)) & LIVE


@quick
@given(marked)
def test_code_stays_code(text: str) -> None:
    parsed = MarkdownIt("commonmark").parse(f"{fenced(text)}\n\nafter")

    assert [token.type for token in parsed] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert "\x1b" not in fenced(text) + code(text)


@quick
@given(flow_like)
def test_every_text_has_a_verdict(text: str) -> None:
    judgement = judge_text(text.encode(), "x.yaml", Library())

    assert (judgement.flow is None) == bool(judgement.problems)


@quick
@given(st.binary(max_size=100))
def test_every_file_is_a_persona(data: bytes) -> None:
    parse_persona(data.decode(errors="replace"), "name")


@quick
@given(st.lists(st.text(st.sampled_from("ab ()\t"), min_size=1, max_size=6), min_size=1, max_size=12), st.data())
def test_whole_lines_out_of_a_file_are_verified_where_they_stand(lines: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(1, len(lines)))
    end = data.draw(st.integers(start, len(lines)))
    quote = "\n".join(lines[start - 1 : end])
    finding = Finding("low", "t", "c", "x", (Evidence("f", start, end, quote),), "s")
    (judged,) = CitationCheck({"f": "\r\n".join(lines).encode()}).judge(finding).evidence

    assert judged.status == "verified" or not quote.strip()


@quick
@given(st.text(st.sampled_from("ab\n\r "), max_size=40))
def test_every_position_belongs_to_its_line(text: str) -> None:
    cited = CitedText(text.encode())

    for position in range(len(cited.text)):
        begin, end = cited.starts[cited.line_at(position) - 1], cited.line_end(cited.line_at(position))
        assert begin <= position <= end
