"""Reads the documents of a repository in Markdown: their links, sections, spans and fences of code, each with its line."""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..files import is_generated, is_test, is_vendored, language
from ..reading.snapshot import SourceText
from ..survey.survey import Survey

MAX_DOCUMENTS = 1000
# What a changelog or a blog says was right when it was written; a template becomes another project's document.
_LEFT_ALONE = re.compile(
    r"(?i)(?<!pull_request_)template|(^|/)(changelogs?|changes|history|releases?|release[_-]?notes|news|archived?|blog|_posts"
    r"|versioned_docs)\b|(^|/)(i18n|locales?|translations?)/"
)
_PAST = re.compile(r"(?i)(^|/)(migrat\w*|upgrad\w*|proposals?|rfcs?|adrs?|decisions)\b")
_CONTRIBUTORS = re.compile(
    r"(?i)(^|/)(contribut\w*|develop\w*|hacking|building|agents|claude|copilot-instructions)\b[\w./-]*\.(md|markdown)$"
)
_WORK = re.compile(r"(?i)\b(contribut|develop(?!er)|hacking|build|test|lint|set-? ?up for|release)")
_CODE = re.compile(r"(?ms)^[ >]*(```+|~~~+).*?^[ >]*\1|`[^`\n]+`")
_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_HTML_LINK = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)\s*=\s*[\"']([^\"'\s]+)[\"']", re.IGNORECASE)
_IDENTIFIER = re.compile(r"\b(?:id|name)\s*=\s*[\"']?([^\"'\s>]+)|\{:?\s*#([\w.-]+)[^}\n]*\}")
_HTML_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.{1,400}?)</h\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
Piece = tuple[int, str]  # a line, and what stands there


@dataclass(slots=True)
class Page:
    """One document, and what was read of it."""

    source: SourceText
    links: list[Piece] = field(default_factory=list)
    badges: list[tuple[int, str, str]] = field(default_factory=list)  # the image, and where it leads
    texts: list[Piece] = field(default_factory=list)
    spans: list[Piece] = field(default_factory=list)
    fences: list[tuple[int, str, str]] = field(default_factory=list)  # the first line inside, the language, the code
    anchors: set[str] = field(default_factory=set)
    has_definitions: bool = False

    @property
    def path(self) -> str:
        """Returns the path of the document."""
        return self.source.path

    @property
    def prose(self) -> str:
        """Returns the text without code."""
        return _CODE.sub("", self.source.text)

    @property
    def is_past(self) -> bool:
        """Returns whether the document tells of former states, or of plans."""
        return bool(_PAST.search(self.path))

    def is_work(self, line: int) -> bool:
        """Returns whether a line is for people who work on the project: by the document, or by the heading above the line."""
        if _CONTRIBUTORS.search(self.path):
            return True
        headings = (_HEADING.match(text) for text in self.source.lines[line - 1 :: -1])
        above = next((match[2] for match in headings if match), "")
        return bool(_WORK.search(above))


def read_pages(survey: Survey) -> list[Page]:
    """Returns the documents whose words are about the repository as it is."""
    try:
        parser = importlib.import_module("markdown_it").MarkdownIt("commonmark").enable("table")
    except ImportError:  # the other half of the lens says so
        return []
    found = sorted(filter(_is_judged, survey.snapshot.paths), key=lambda path: (path.count("/"), path))
    shown = survey.snapshot.linked()
    pages = []
    for source in survey.read(tuple(path for path in found if path not in shown)[:MAX_DOCUMENTS], ()):
        survey.judge(source.path)
        if not is_generated(source.lines, source.path):
            pages.append(_page(parser, source))
    return pages


def bare(anchor: str) -> str:
    """Returns an anchor or a heading without punctuation and case: hosts differ in what they make of these."""
    return re.sub(r"[\W_]", "", anchor.lower().removeprefix("user-content-"))


def is_left_alone(path: str) -> bool:
    """Returns whether a document tells of another time, or of another project."""
    return bool(_LEFT_ALONE.search(path))


def _is_judged(path: str) -> bool:
    is_document = language(path) == "Markdown" and not path.endswith(".mdx")
    return is_document and not (is_left_alone(path) or is_vendored(path) or is_test(path))


def _page(parser: Any, source: SourceText) -> Page:
    page, environment = Page(source), dict[str, Any]()
    line, is_heading = 1, False
    for token in parser.parse(source.text, environment):
        line = token.map[0] + 1 if token.map else line
        if token.type == "fence":
            page.fences.append((line + 1, token.info.strip().split(" ")[0].split("{")[0].lower(), token.content))
        if is_heading:
            page.anchors |= {token.content, "".join(_plain(token))}
        is_heading = token.type == "heading_open"
        _take(page, token, line)
    page.anchors |= {_TAG.sub("", heading) for _, heading in _HTML_HEADING.findall(source.text)}
    page.anchors |= {one or other for one, other in _IDENTIFIER.findall(source.text)}
    page.anchors = {bare(re.sub(r"\{:?\s*#[^}]*\}", "", anchor)) for anchor in page.anchors} | {"top", "readme"}
    page.anchors |= {f"{anchor}{number}" for anchor in page.anchors for number in range(1, 6)}
    page.has_definitions = bool(environment.get("references"))
    return page


def _take(page: Page, token: Any, line: int) -> None:
    if token.type in {"html_block", "html_inline"}:
        page.links += [
            (at, link) for at, text in enumerate(token.content.split("\n"), line) for link in _HTML_LINK.findall(text)
        ]
    elif token.type == "inline":
        page.texts += list(enumerate("".join(map(_shown, token.children)).split("\n"), line))
    elif token.type == "code_inline":
        page.spans.append((line, token.content))
    elif target := token.attrGet("href") or token.attrGet("src"):
        page.links.append((line, str(target)))
    opened = ""
    for child in () if token.type == "image" else token.children or ():
        opened = (
            str(child.attrGet("href")) if child.type == "link_open" else "" if child.type == "link_close" else opened
        )
        if child.type == "image" and opened:
            page.badges.append((line, str(child.attrGet("src")), opened))
        _take(page, child, line)
        line += child.type in {"softbreak", "hardbreak"}


def _shown(token: Any) -> str:
    """Returns a part of a paragraph where that is words or code, which are shown as they are; else a sign for it."""
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    if token.type == "code_inline":
        return f"`{re.sub(r'[][]', '', token.content)}`"
    return str(token.content) if token.type == "text" else "\0"


def _plain(token: Any) -> Iterator[str]:
    if token.type in {"text", "code_inline"}:
        yield token.content
    for child in () if token.type == "image" else token.children or ():
        yield from _plain(child)
