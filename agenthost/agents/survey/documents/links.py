"""Finds links, images and badges of documents that lead nowhere, in the repository and on its own pages at GitHub.

Documents that a generator makes into a site are left alone: there links have another meaning. What leaves the repository, is made
by its build, or only exists at its host is not judged. The parser of Markdown is a package of the host.
"""

import importlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from posixpath import basename, dirname, join, normpath, relpath
from typing import Any
from urllib.parse import unquote

from ...files import is_test, is_vendored, language
from ...reading.history import deletions
from ...reading.snapshot import SourceText
from ..finding import Finding, cite, sighting
from ..survey import Survey
from .named import may_exist

MAX_DOCUMENTS = 1000
# Of the links of documents that are shown somewhere else, by names and addresses of that place, many lead to nothing here.
MIN_FOREIGN, FOREIGN_SHARE = 8, 0.25
_SITE = re.compile(
    r"(^|/)(mkdocs\.ya?ml|docusaurus\.config\.\w+|conf\.py|book\.toml|_config\.yml|antora\.yml|hugo\.\w+|sidebars\.\w+"
    r"|\.vitepress|\.vuepress|_sidebar\.\w+|docs\.json|mint\.json|astro\.config\.\w+|[^/]+\.mdx)(/|$)"
)
# Links of a changelog were right when they were written.
_LEFT_ALONE = re.compile(r"(?i)template|(^|/)(changelog|changes|history|releases?|release[_-]notes|news)\b[^/]*$")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//|.*([{}$<>*|`\\]|\.\.\.|::)", re.IGNORECASE)
_MANIFESTS = ("pyproject.toml", "setup.cfg", "setup.py", "package.json", "Cargo.toml", "go.mod", "composer.json")
_REPOSITORY = re.compile(r"github\.com[/:]([\w.-]+/[\w.-]+?)(?=\.git\b|[/\"'#\s)>\]]|$)", re.MULTILINE)
_OWN_PAGE = r"https?://github\.com/{}/(?:(?:tree|blob|raw)/(?:main|master|HEAD)(?=/)|(?=actions/workflows/))"
_WORKFLOW = re.compile(r"^actions/workflows/([\w.-]+\.ya?ml).*")
_HTML = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)\s*=\s*[\"']([^\"'\s]+)[\"']", re.IGNORECASE)
_IDENTIFIER = re.compile(r"\b(?:id|name)\s*=\s*[\"']?([^\"'\s>]+)")
_HTML_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.{1,400}?)</h\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_ADDRESS = re.compile(r"https?://\S+")
_CONTRIBUTORS = re.compile(
    r"<!-- ALL-CONTRIBUTORS-LIST:START.*?ALL-CONTRIBUTORS-LIST:END", re.DOTALL
)  # its anchors lead nowhere


def find_dead_links(survey: Survey) -> Iterator[Finding]:
    """Yields the dead links, anchors and badges."""
    paths = _documents(survey)
    if not paths:
        return
    try:
        markdown = importlib.import_module("markdown_it").MarkdownIt("commonmark").enable("table")
    except ImportError:  # the sandbox was given no packages
        survey.miss("Links of documents were not judged: the host has no markdown-it-py.")
        return
    manifests = filter(None, map(survey.snapshot.read, _MANIFESTS))
    name = next((match[1] for source in manifests if (match := _REPOSITORY.search(source.text))), "//")
    own = re.compile(_OWN_PAGE.format(re.escape(name)), re.IGNORECASE)
    misses: dict[str, list[Finding]] = defaultdict(list)
    links: Counter[str] = Counter()
    for source in survey.read(paths, ()):
        survey.judge(source.path)
        together = source.path.partition("/")[0]
        for found in _looked_at(survey, source, markdown, own):
            links[together] += 1
            misses[together] += [found] if found else []
    for together, findings in misses.items():
        if len(findings) < MIN_FOREIGN or len(findings) <= links[together] * FOREIGN_SHARE:
            yield from findings
        else:
            survey.miss(f"Links of {together} were not judged: {len(findings)} of {links[together]} lead elsewhere.")


def _looked_at(survey: Survey, source: SourceText, markdown: Any, own: re.Pattern[str]) -> Iterator[Finding | None]:
    """Yields what is wrong with each link inside the repository."""
    parts = list(dict.fromkeys(_parts(markdown, source.text)))
    anchors = {_bare(text) for _, kind, text in parts if kind == "anchor"} | {"top", "readme", "badge"}
    anchors |= {f"{anchor}{number}" for anchor in anchors for number in range(1, 6)}
    swapped = {text for _, kind, text in parts if kind == "swapped"}
    for line, text in ((line, text) for line, kind, text in parts if kind == "link"):
        target = _WORKFLOW.sub(r"/.github/workflows/\1", own.sub("", unquote(text)))
        if _ELSEWHERE.match(target):
            continue
        found = _judge(survey, source.path, target, anchors)
        if found and text in swapped and found[0] == "lens:dead-link":
            found = "lens:malformed-link", f"`{target}` and the address before it have each other's place"
        yield sighting(found[0], cite(source, line), found[1]) if found else None


def _documents(survey: Survey) -> tuple[str, ...]:
    """Returns the documents that are read in the repository, shallow ones first."""
    sites = {path[: match.start()] for path in survey.snapshot.paths if (match := _SITE.search(path))}
    # A site at the root is made of the folder of documents, and one that lies elsewhere may be, too.
    made = [*(re.escape(f"{site}/") for site in sites if site), "docs?/(?!.*readme)" if sites else "//"]
    other = re.compile("|".join(made), re.IGNORECASE)
    found = (path for path in survey.snapshot.paths if language(path) == "Markdown" and not other.match(path))
    shown = survey.snapshot.linked()  # elsewhere, where their links have another meaning
    # Rust takes documents beside its sources into its own, where a link may name an item of the code.
    beside = {path.partition("/src/")[0] for path in survey.snapshot.paths if "/src/" in path and path.endswith(".rs")}
    read = (path for path in found if "/src/" not in path or path.partition("/src/")[0] not in beside)
    kept = (
        path for path in read if not (path in shown or _LEFT_ALONE.search(path) or is_vendored(path) or is_test(path))
    )
    return tuple(sorted(kept, key=lambda path: (path.count("/"), path))[:MAX_DOCUMENTS])


def _judge(survey: Survey, document: str, target: str, anchors: set[str]) -> tuple[str, str] | None:
    """Returns the rule and what is wrong with a link inside the repository."""
    file, _, anchor = target.partition("#")
    if not file:
        return (
            ("lens:dead-anchor", f"`#{anchor}` names no section") if anchor and _bare(anchor) not in anchors else None
        )
    if re.fullmatch(r"[\w.+-]+@[\w.-]+\.\w+", target):
        return "lens:malformed-link", f"`{target}` is taken for the name of a file, since `mailto:` is missing"
    if target.startswith(("(", "[")):
        return "lens:malformed-link", f"`{target}` begins with a second bracket"
    file, folder = file.partition("?")[0], dirname(document)
    path = normpath(join("" if file.startswith("/") else folder, file.lstrip("/")))
    is_route = file.startswith("/") and "." not in basename(file)  # of the pages that it is shown in
    if is_route or may_exist(survey.snapshot, path):
        return None
    alike = ([one for one in survey.snapshot.paths if of(one.lower()) == of(path.lower())] for of in (str, basename))
    same = next(filter(None, alike), [])
    near = (f"{path}.md", normpath(re.sub(r"^(\.{0,2}/)+", "", file)), join(folder, file.lstrip("/")))
    there = next(filter(survey.snapshot.has, near), same[0] if len(same) == 1 else "")
    if there:
        return "lens:moved-link", f"`{target}` should be `{relpath(there, folder)}`"
    since = f", since {commit} deleted it" if (commit := deletions().get(path)) else ""
    return "lens:dead-link", f"`{target}` leads to nothing{since}"


def _parts(markdown: Any, text: str) -> Iterator[tuple[int, str, str]]:
    """Yields line, kind and text of the links and anchors of a document."""
    yield from ((1, "anchor", _TAG.sub("", heading)) for _, heading in _HTML_HEADING.findall(text))
    line, is_heading = 1, False
    for token in markdown.parse(_CONTRIBUTORS.sub(lambda match: "\n" * match[0].count("\n"), text)):
        line = token.map[0] + 1 if token.map else line
        found = list(_inside(token, line))
        yield from (part for part in found if part[1] != "text")
        if is_heading:
            yield line, "anchor", "".join(text for _, kind, text in found if kind == "text")
            yield line, "anchor", token.content
        is_heading = token.type == "heading_open"


def _inside(token: Any, line: int) -> Iterator[tuple[int, str, str]]:
    if token.type in {"html_block", "html_inline"}:
        for at, text in enumerate(token.content.split("\n"), line):
            yield from ((at, "link", target) for target in _HTML.findall(text))
            yield from ((at, "anchor", name) for name in _IDENTIFIER.findall(text))
    elif token.type in {"text", "code_inline"}:
        yield line, "text", token.content
    elif target := token.attrGet("href") or token.attrGet("src"):
        yield line, "link", str(target)
    previous = None
    for child in () if token.type == "image" else token.children or ():
        if previous and previous.type == "link_open" and _ADDRESS.fullmatch(child.content):
            yield line, "swapped", str(previous.attrGet("href"))
        previous = child
        yield from _inside(child, line)
        line += child.type in {"softbreak", "hardbreak"}


def _bare(anchor: str) -> str:
    """Returns an anchor or a heading without punctuation and case: hosts differ in what they make of these."""
    return re.sub(r"[\W_]", "", anchor.lower().removeprefix("user-content-"))
