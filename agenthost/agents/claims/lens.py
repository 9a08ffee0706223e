"""Lets each part look at the documents, which are read once."""

from collections.abc import Iterator

from ..survey.finding import Finding
from ..survey.survey import Survey
from .commands import find_unknown_commands
from .examples import find_broken_examples
from .manifests import find_missing_files
from .pages import read_pages
from .sections import find_dead_sections, find_mistaken_addresses, find_undefined_references
from .services import find_ended_services, find_unmeasured_coverage

_LOOKS = (
    find_dead_sections,
    find_undefined_references,
    find_mistaken_addresses,
    find_unknown_commands,
    find_missing_files,
    find_broken_examples,
    find_ended_services,
    find_unmeasured_coverage,
)


def find_broken_claims(survey: Survey) -> Iterator[Finding]:
    """Yields each place where a document tells its readers what does not hold."""
    pages = read_pages(survey)
    for look in _LOOKS:
        yield from look(survey, pages)
