"""Finds links to sections that a document of the repository does not have, links without a definition, and mixed up addresses."""

import re
from collections.abc import Iterator
from posixpath import dirname, join, normpath
from urllib.parse import unquote

from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey
from .pages import Page, bare

# Parts of a document that come from elsewhere, and bring their own sections.
_INCLUDES = re.compile(
    r"(?m)^::: (?!tip|note|info|warning|danger|caution|important|details|code-group|raw)[a-z]|--8<--|\{%|\{\{|\{!"
    r"|<!--\s*include|^@include|\.\. include|<[A-Z]\w*\s*/>"
)
_OTHER = re.compile(r"(?i)(user-content-)?(l\d+(c\d+)?(-l\d+.*)?|:~:.*|diff-.*|issuecomment.*|[a-z]+=.*|/.*|!.*)$")
_NO_SLUG = re.compile(r"[,'\"\u2018\u2019\u201c\u201d`?]")  # hosts leave these out of the names of sections
_MANIFESTS = ("pyproject.toml", "setup.cfg", "setup.py", "package.json", "Cargo.toml", "go.mod", "composer.json")
_REPOSITORY = re.compile(r"github\.com[/:]([\w.-]+/[\w.-]+?)(?=\.git\b|[/\"'#\s)>\]]|$)", re.MULTILINE)
_ADDRESS = re.compile(r"https?://github\.com/([\w.-]+/[\w.-]+)/([^?#]+)(?:#(.+))?$")
_ON_A_BRANCH = re.compile(r"(?:blob|tree)/(?:main|master|HEAD)/(.+)")
_BADGE = re.compile(r"https?://github\.com/([\w.-]+/[\w.-]+)/(?:actions/)?workflows/")
_REFERENCE = re.compile(r"(?<![\]\w\\!$)])\[([^\]\[\0]*[A-Za-z]{3}[^\]\[\0]*)\]\[([A-Za-z][\w -]{2,})\](?![\[(\w])")
_CROSS_REFERENCES = re.compile(r"mkdocstrings|autorefs|auto_append")


def find_dead_sections(survey: Survey, pages: list[Page]) -> Iterator[Finding]:
    """Yields each link of a document to a section that it, or the other document, lacks."""
    read = {page.path: page for page in pages}
    own = _own_name(survey)
    for page in pages:
        for line, text in page.links:
            path, anchor = _target(page.path, unquote(text), own)
            other = read.get(path) or next(
                (read[one] for one in (f"{path}.md", f"{path}/index.md") if one in read), None
            )
            if other is None or not anchor or _OTHER.match(anchor) or _INCLUDES.search(other.prose):
                continue
            if bare(anchor) not in other.anchors:
                where = "" if other is page else f" of {other.path}"
                yield sighting("lens:dead-anchor", cite(page.source, line), f"`#{anchor}` names no section{where}")
            elif _NO_SLUG.search(anchor) and anchor not in other.source.text.replace(f"#{anchor}", ""):
                told = f"`#{anchor}` names no section: punctuation is no part of their names"
                yield sighting("lens:dead-anchor", cite(page.source, line), told)


def find_undefined_references(survey: Survey, pages: list[Page]) -> Iterator[Finding]:
    """Yields each link `[text][label]` whose label is defined nowhere, in documents that define others."""
    sites = (survey.snapshot.read(path) for path in survey.snapshot.paths if re.search(r"(^|/)mkdocs\.ya?ml$", path))
    if any(site and _CROSS_REFERENCES.search(site.text) for site in sites):
        return
    for page in pages:
        if _INCLUDES.search(page.prose) or "/src/" in f"/{page.path}":
            continue
        for line, text in page.texts:
            for match in _REFERENCE.finditer(text):
                # Without definitions in the document, two brackets may be tags: of a title, or of a line in a log.
                if not (page.has_definitions or ("`" in match[1] and "-" in match[2])):
                    continue
                told = f"`{match[0]}` is shown as it is written: `{match[2]}` is not defined"
                yield sighting("lens:undefined-label", cite(page.source, line), told)


def find_mistaken_addresses(survey: Survey, pages: list[Page]) -> Iterator[Finding]:
    """Yields links to files of this repository that lack `blob`, and badges of it that lead to another repository."""
    own = _own_name(survey)
    for page in pages:
        for line, text in page.links:
            match = _ADDRESS.match(unquote(text))
            if match and "." in match[2] and survey.snapshot.has(match[2]) and own in {"", match[1].lower()}:
                told = f"`{text}` lacks `blob/` and the branch before `{match[2]}`"
                yield sighting("lens:malformed-link", cite(page.source, line), told)
        for line, image, link in page.badges:
            shown, led = _BADGE.match(image), _BADGE.match(link)
            if shown and led and shown[1].lower() != led[1].lower():
                told = f"the badge shows a workflow of {shown[1]}, and leads to {led[1]}"
                yield sighting("lens:malformed-link", cite(page.source, line), told)


def _target(document: str, link: str, own: str) -> tuple[str, str]:
    """Returns the path and the section that a link leads to; empty where that is not in the repository."""
    if (match := _ADDRESS.match(link)) and own and match[1].lower() == own:
        inside = _ON_A_BRANCH.match(match[2])
        return (inside[1], match[3] or "") if inside else ("", "")
    file, _, anchor = link.partition("#")
    if re.match(r"[a-z][a-z0-9+.-]*:|//", file, re.IGNORECASE):
        return "", ""
    return normpath(join(dirname(document), file)) if file else document, anchor


def _own_name(survey: Survey) -> str:
    """Returns what manifests call the repository at its host, in lower case; empty where they do not."""
    manifests = filter(None, map(survey.snapshot.read, _MANIFESTS))
    return next((match[1].lower() for source in manifests if (match := _REPOSITORY.search(source.text))), "")
