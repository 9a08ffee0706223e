"""Finds files that set one release of Python or Node.js for the whole project, where that release gets no more security fixes.

A file with several releases lists what the project is tested on, and is not told.
"""

import re
from collections.abc import Iterator

from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey

ENDED = "lens:ended-release"
# The same releases as the rules for workflows have.
_PYTHON = r"(?:2(?:\.7)?|3\.[0-9])(?:\.\d+)?"
_NODE = r"v?(?:\d|1\d|20|21|23)(?:\.[\dx]+){0,2}"
_FILES = {
    ".python-version": re.compile(rf"(?P<release>{_PYTHON})\s*"),
    "runtime.txt": re.compile(rf"(?P<release>python-{_PYTHON})\s*"),
    ".nvmrc": re.compile(rf"(?P<release>{_NODE})\s*"),
    ".node-version": re.compile(rf"(?P<release>{_NODE})\s*"),
}
_DOCS = re.compile(rf"^    python:\s*[\"']?(?P<release>{_PYTHON})[\"']?\s*(?:#.*)?$")


def find_ended(survey: Survey) -> Iterator[Finding]:
    """Yields each such file at the root, and the Python that Read the Docs builds with."""
    for path, pattern in _FILES.items():
        source = survey.snapshot.read(path)
        if source and (match := pattern.fullmatch(source.text)):
            yield sighting(ENDED, cite(source, 1), f"{path} sets {match['release']}, which gets no more security fixes")
    for source in filter(None, map(survey.snapshot.read, (".readthedocs.yaml", ".readthedocs.yml"))):
        for number, line in enumerate(source.lines, 1):
            if match := _DOCS.match(line):
                title = f"Read the Docs builds with Python {match['release']}, which gets no more security fixes"
                yield sighting(ENDED, cite(source, number), title)
