"""Finds code that can hurt, in forms that the text alone shows: the lens `risks`."""

from collections.abc import Iterator

from ...files import is_tooling
from ..finding import Finding
from ..lens import Detector
from ..sighting import Sighting, merge
from ..survey import Survey
from . import dangerous_calls, mutable_defaults, swallowed
from .brace_risks import find_brace_risks
from .credentials import find_credentials
from .deployment import find_deployment_risks
from .workflows import find_workflow_risks

_CHECKS = (swallowed.sightings, dangerous_calls.sightings, mutable_defaults.sightings)


def find_python_risks(survey: Survey) -> list[Finding]:
    """Parses each Python file of the product once, for all checks."""
    return merge("risks", _sightings(survey))


def _sightings(survey: Survey) -> Iterator[Sighting]:
    # The developers' own tools take their own developers' input: what is a risk in a product is not one there.
    shipped = tuple(path for path in survey.product if not is_tooling(path))
    for source, tree in survey.python(shipped):
        for check in _CHECKS:
            yield from check(source, tree)


DETECTORS = (
    Detector("the workflows of the repository, for code that strangers could run", find_workflow_risks),
    Detector("every text file, for credentials in known formats", find_credentials),
    Detector("Python code, for swallowed errors and dangerous calls", find_python_risks),
    Detector("JavaScript, Go, Java and C code, for dangerous forms", find_brace_risks),
    Detector("container files and requirements", find_deployment_risks),
)
