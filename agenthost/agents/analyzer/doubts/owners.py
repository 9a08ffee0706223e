"""Doubts results about actions and tools of the repository's own organization: who can move their tags can push here, too.

The snapshot has no remote. Its owner is the one whom a manifest at its root names; without one, whom all badges of its README name.
"""

import json
import re
from collections.abc import Iterator

from ..narrowing.repository import Repository
from ..results import Result

MAX_CHARACTERS = 64 * 1024
_REPOSITORY = r"(?:github\.com[/:]|github:)(?P<owner>[\w-]+)/[\w.-]+"
_USES = re.compile(r"(?:uses:\s*[\"']?|\bgo (?:install|run)\s+(?:-\S+\s+)*github\.com/)(?P<owner>[\w-]+)/")
_SHORT = re.compile(r"(?P<owner>[\w-]+)/[\w.-]+")
_MANIFESTS = {
    "go.mod": re.compile(rf"(?m)^module\s+{_REPOSITORY}"),
    "Cargo.toml": re.compile(rf"(?m)^(?:repository|homepage)\s*=\s*\"[^\"\n]*{_REPOSITORY}"),
    "pyproject.toml": re.compile(
        rf"(?im)^[\"']?(?:\w+[ -])?(?:sources?|repo(?:sitory)?|homepage|github|code|issues|tracker|changelog)(?:[ -]\w+)?[\"']?"
        rf"\s*=\s*[\"'][^\"'\n]*{_REPOSITORY}"
    ),
    "setup.py": re.compile(rf"\burl\s*=\s*[\"'][^\"'\n]*{_REPOSITORY}"),
    "setup.cfg": re.compile(rf"(?m)^url\s*=\s*\S*{_REPOSITORY}"),
    "pom.xml": re.compile(rf"<scm>(?:(?!</scm>)[\s\S]){{0,300}}?{_REPOSITORY}"),
    "gradle.properties": re.compile(rf"(?m)^POM_(?:SCM_)?URL\s*=\s*\S*{_REPOSITORY}"),
    "mkdocs.yml": re.compile(rf"(?m)^repo_url:\s*\S*{_REPOSITORY}"),
}
_JSON = ("package.json", "composer.json")
_READMES = ("README.md", "README.rst", "README.adoc", "README", "readme.md", ".github/README.md")
_BADGE = re.compile(
    r"github\.com/(?P<a>[\w-]+)/[\w.-]+/(?:actions|workflows)/\S*badge|img\.shields\.io/github/(?:[a-z-]+/)+?(?P<b>[\w-]+)/[\w.-]+"
    r"|codecov\.io/(?:gh|github)/(?P<c>[\w-]+)/|coveralls\S*/github/(?P<d>[\w-]+)/"
)


def why_not(result: Result, content: bytes, settled: Repository) -> str:
    """Returns that all actions and tools belong to the repository's owner. `settled` is what a change under review cannot alter."""
    lines = content.decode(errors="replace").split("\n")[
        max(result.start_line, 1) - 1 : max(result.start_line, result.end_line)
    ]
    used = {match["owner"].lower() for match in _USES.finditer("\n".join(lines))}
    return "use what the repository's own organization makes" if used and used <= owners_of(settled) else ""


def owners_of(repository: Repository) -> frozenset[str]:
    """Returns the owners that the repository may have, in small letters."""
    named = {owner.lower() for owner in _by_manifests(repository)}
    texts = (repository.read(name)[:MAX_CHARACTERS] for name in _READMES)
    found = {owner.lower() for text in texts for match in _BADGE.finditer(text) for owner in match.groups() if owner}
    return frozenset(named or (found if len(found) == 1 else ()))


def _by_manifests(repository: Repository) -> Iterator[str]:
    for name, pattern in _MANIFESTS.items():
        if match := pattern.search(repository.read(name)[:MAX_CHARACTERS]):
            yield match["owner"]
    for name in _JSON:
        if match := _in_json(repository.read(name)):
            yield match["owner"]


def _in_json(text: str) -> re.Match[str] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    told = (
        document.get("repository") or document.get("support") or document.get("homepage")
        if isinstance(document, dict)
        else None
    )
    url = (
        told
        if isinstance(told, str)
        else str(told.get("url") or told.get("source") or "")
        if isinstance(told, dict)
        else ""
    )
    return re.search(_REPOSITORY, url) or _SHORT.fullmatch(url)
