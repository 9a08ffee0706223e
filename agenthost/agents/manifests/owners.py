"""Finds lines of CODEOWNERS that GitHub skips, because an owner is neither a name with @ nor an address."""

import re
from collections.abc import Iterator

from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey

OWNER = "lens:owner-without-at"
_PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")  # GitHub reads the first that is there
_NAME = re.compile(r"[\w-]+(?:/[\w.-]+)?")
_SECTION = re.compile(r"(?m)^[^\S\n]*\^?\[")  # of GitLab


def find_unknown_owners(survey: Survey) -> Iterator[Finding]:
    """Yields each line that names an owner without @."""
    source = next(filter(None, map(survey.snapshot.read, _PLACES)), None)
    if source is None or _SECTION.search(source.text):
        return
    for number, line in enumerate(source.lines, 1):
        words = line.partition("#")[0].split()[1:]
        owner = next((word for word in words if _NAME.fullmatch(word)), None)
        if owner and "\\" not in line:
            yield sighting(OWNER, cite(source, number), f"`{owner}` is no owner without @, and GitHub skips the line")
