"""Finds dead relative links, images and anchors in the documents that people read on the repository's own pages.

Only READMEs, other documents in the root, and those of .github are judged, since site generators give links another meaning.
What leaves the repository, or only exists on the hosting site, is not judged.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote

from ...files import is_test, is_vendored
from ...reading.history import deletions
from ...reading.snapshot import SourceText
from ..finding import Finding, cite, sighting
from ..survey import Survey

DEAD = "lens:dead-link"
MOVED = "lens:moved-link"
MALFORMED = "lens:malformed-link"
ANCHOR = "lens:dead-anchor"
MAX_DOCUMENTS = 400
# READMEs, translated ones too.
_DOCUMENT = re.compile(r"^readme([._-][\w-]+)?\.(md|markdown)$", re.IGNORECASE)
# What shows that documents are made into a site, where links have another meaning.
_SITE = re.compile(
    r"(^|/)(mkdocs\.ya?ml|docusaurus\.config\.\w+|conf\.py|book\.toml|_config\.yml|antora\.yml|hugo\.\w+|sidebars\.\w+"
    r"|\.vitepress|\.vuepress|_sidebar\.md|docs\.json|mint\.json|astro\.config\.\w+|next\.config\.\w+)(/|$)"
)
_LINK = re.compile(r"(?<![\\A-Za-z0-9_])!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'(][^)]*)?\)")
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]^]+\]:\s+<?(\S+?)>?(?:\s+[\"'(].*)?$")
_HTML = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)\s*=\s*[\"']([^\"'\s]+)[\"']", re.IGNORECASE)
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
_UNSURE = re.compile(r"[{}$<>*|`\\]|%[^0-9a-fA-F]|\.\.\.")
_HOSTED = re.compile(
    r"(^|/)(issues|pulls?|wiki|releases|discussions|tree|blob|raw|compare|commits?|actions|projects|security|stargazers|graphs)(/|$)"
)
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_IDENTIFIER = re.compile(r"\b(?:id|name)\s*=\s*[\"']?([^\"'\s>]+)")
# Their links were right when they were written.
_PAST = re.compile(r"^(changelog|changes|history|releases?|release[_-]notes|news)\b", re.IGNORECASE)


def prose(source: SourceText) -> Iterator[tuple[int, str]]:
    """Yields the lines of a Markdown document without fenced code, comments and inline code."""
    fence, comment = "", False
    for number, line in enumerate(source.lines, 1):
        mark = re.match(r"^[\s>]*(?:[-*+]\s+)?(`{3,}|~{3,})", line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
            continue
        if mark and not comment:
            fence = mark[1]
            continue
        if comment or "<!--" in line:
            comment = "-->" not in line.rpartition("<!--")[2] if "<!--" in line else "-->" not in line
            continue
        yield number, re.sub(r"(`+).*?\1", lambda match: " " * len(match.group()), line)


def documents(survey: Survey) -> list[str]:
    """Returns the documents that are read on the repository's own pages, shallow ones first."""
    sites = {path[: match.start()] for path in survey.snapshot.paths if (match := _SITE.search(path))}
    found = [path for path in survey.snapshot.paths if _is_document(path, sites)]
    return sorted(found, key=lambda path: (path.count("/"), path))[:MAX_DOCUMENTS]


def _is_document(path: str, sites: set[str]) -> bool:
    pure = PurePosixPath(path)
    if path.startswith(".github/") and len(pure.parts) > 2:
        return False
    foreign = is_vendored(path) or is_test(path) or "template" in path.lower() or _PAST.match(pure.name)
    if foreign or pure.suffix.lower() not in {".md", ".markdown"}:
        return False
    # A site at the root is made of the folder of documents, any other of its own folder.
    made = any(path.startswith(f"{site}/") for site in sites if site)
    own = len(pure.parts) == 1 or path.startswith(".github/") or (pure.parts[0] in {"doc", "docs"} and not sites)
    return own or (bool(_DOCUMENT.match(pure.name)) and not made)


def find_dead_links(survey: Survey) -> Iterator[Finding]:
    """Yields the dead links and the dead anchors."""
    for source in survey.sources(tuple(documents(survey))):
        slugs = _slugs(source)
        for number, line in prose(source):
            for target in dict.fromkeys(_targets(line)):
                yield from _judge(survey, source, number, target, slugs)


def _targets(line: str) -> list[str]:
    if len(line) > 5000:
        return []
    return [match[1] for pattern in (_LINK, _REFERENCE, _HTML) for match in pattern.finditer(line)]


def _judge(survey: Survey, source: SourceText, number: int, target: str, slugs: frozenset[str]) -> Iterator[Finding]:
    if _SCHEME.match(target) or _UNSURE.search(target):
        return
    file, _, anchor = target.partition("#")
    if not file:
        if anchor and slugs and _plain(unquote(anchor)) not in slugs:
            yield sighting(ANCHOR, cite(source, number), f"`#{anchor}` names no section")
        return
    file = unquote(file.partition("?")[0])
    folder = "" if file.startswith("/") else str(PurePosixPath(source.path).parent)
    resolved = posixpath.normpath(posixpath.join(folder, file.lstrip("/")))
    outside = (
        resolved.startswith("..")
        or _is_made(survey, resolved)
        or _HOSTED.search(file)
        or not re.search(r"[A-Za-z]", file)
    )
    if not outside and not survey.snapshot.has(resolved) and not _beyond_sight(survey, resolved):
        rule, detail = _cause(survey, source.path, target, resolved)
        yield sighting(rule, cite(source, number), detail)


def _is_made(survey: Survey, path: str) -> bool:
    """Returns whether a path lies where the project's own .gitignore says that files are made."""
    source = survey.snapshot.read(".gitignore")
    ignored = {line.strip().strip("/") for line in (source.lines if source else ())}
    return any(part and part in ignored for part in (path, *path.split("/")))


def _cause(survey: Survey, document: str, target: str, resolved: str) -> tuple[str, str]:
    """Returns the rule for a dead link, with what is wrong with it."""
    if re.fullmatch(r"[\w.+-]+@[\w.-]+\.\w+", target):
        return MALFORMED, f"`{target}` is taken for the name of a file, since `mailto:` is missing"
    if target.startswith(("(", "[")):
        return MALFORMED, f"`{target}` begins with a second bracket"
    same = same_named(survey, resolved)
    from_root = re.sub(r"^(\.{1,2}/)+", "", unquote(target.partition("#")[0]))
    if len(same) != 1 and survey.snapshot.has(from_root):
        same = [from_root]
    if len(same) == 1:
        there = posixpath.relpath(same[0], str(PurePosixPath(document).parent))
        return MOVED, f"`{target}` should be `{there}`"
    return DEAD, f"`{target}` leads to nothing{lost(resolved)}"


def lost(path: str) -> str:
    """Returns how a file went, as far as the history tells, as the end of a clause."""
    commit = deletions().get(path, "")
    return f", since {commit} deleted it" if commit else ""


def same_named(survey: Survey, path: str) -> list[str]:
    """Returns the files of the same name, wherever they are."""
    name = PurePosixPath(path).name.lower()
    return [item for item in survey.snapshot.paths if PurePosixPath(item).name.lower() == name]


def _beyond_sight(survey: Survey, path: str) -> bool:
    """Returns whether a path lies below a folder that was not walked into, or that has no files (a submodule or link)."""
    parents = [str(parent) for parent in PurePosixPath(path).parents][:-1]
    known = [parent for parent in parents if survey.snapshot.has(parent)]
    return bool(known) and survey.snapshot.is_opaque(known[0])


def _slugs(source: SourceText) -> frozenset[str]:
    """Returns everything that an anchor of the document may name; compared without punctuation, for hosts differ in that."""
    found: set[str] = set()
    previous = ""
    for line in source.lines:
        heading = _HEADING.match(line)
        text = heading[1] if heading else previous if re.match(r"^\s{0,3}(=+|-+)\s*$", line) else ""
        if text:
            found |= {
                _plain(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)),
                _plain(re.sub(r"<[^>]*>|:\w+:", "", text)),
                _plain(text),
            }
        found |= {_plain(match) for match in _IDENTIFIER.findall(line)}
        previous = line.strip()
    numbered = {f"{slug}{number}" for slug in found for number in range(1, 6)}
    return frozenset(found | numbered | {"top", "readme"} if found else ())


def _plain(text: str) -> str:
    return re.sub(r"[\W_]", "", text.lower().removeprefix("user-content-"))
