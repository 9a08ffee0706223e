"""Finds submodules that .gitmodules does not name: git has no address for them, and its commands for submodules fail.

A link to a commit of another repository is in no file: the history has it. What the working tree has beyond that is not read.
"""

import re
from collections.abc import Iterator

from ..reading.history import ask_git, newest_id
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey

UNNAMED = "lens:submodule-without-address"
_PATH = re.compile(r"(?m)^[^\S\n]*path\s*=\s*\"?([^\"\n]*?)/?\"?\s*$")
_LINK = re.compile(r"160000 commit [0-9a-f]+\t(?P<path>.+)")
_PLACES = (".gitmodules", ".gitignore", "README.md", "README.rst", "README")  # a link has no line to quote


def find_unnamed_submodules(survey: Survey) -> Iterator[Finding]:
    """Yields each link of the newest commit that no entry of .gitmodules is for."""
    commit = newest_id()
    output, _ = ask_git("ls-tree", "-r", "-z", commit) if commit else (b"", "")
    entries = output.decode("utf-8", "surrogateescape").split("\0")[:-1]
    links = [match["path"] for entry in entries if (match := _LINK.fullmatch(entry))]
    modules = survey.snapshot.read(".gitmodules")
    if not links or (modules is None and survey.snapshot.has(".gitmodules")):
        return
    known = {path.strip() for path in _PATH.findall(modules.text)} if modules else set()
    place = next(filter(None, map(survey.snapshot.read, _PLACES)), None)
    for path in links:
        # A file in its place says that the working tree has moved on.
        if place and path not in known and path not in survey.snapshot.sizes and survey.snapshot.is_opaque(path):
            number = next((at for at, line in enumerate(place.lines, 1) if line.strip()), 1)
            title = f"{path} is a link to a commit of another repository, which .gitmodules does not name"
            yield sighting(UNNAMED, cite(place, number), title)
