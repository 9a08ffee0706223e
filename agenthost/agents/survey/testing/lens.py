"""Finds what the tests leave out, and tests that do not test: the lens `tests`."""

import re

from ..finding import Finding
from ..lens import Detector
from ..sighting import Sighting, merge
from ..survey import Survey
from . import hollow_tests
from .skipped import find_skips
from .untested import find_untested

_OVERLOADED = re.compile(r"def __eq__\([^)]*\)\s*->\s*(?!\s*['\"]?bool)|^\s+__eq__ = ", re.MULTILINE)


def find_powerless_tests(survey: Survey) -> list[Finding]:
    """Returns the Python tests that cannot fail as they were meant to."""
    sightings: list[Sighting] = []
    # Where `==` builds something, a comparison that stands alone may be there to be built.
    overloaded = any(_OVERLOADED.search(source.text) for source in survey.sources(survey.product, "Python"))
    for source, tree in survey.python(survey.tests):
        sightings += hollow_tests.sightings(source, tree, overloaded=overloaded)
    return merge("tests", sightings)


DETECTORS = (
    Detector("larger modules that no test names", find_untested),
    Detector("tests that cannot fail", find_powerless_tests),
    Detector("tests that are skipped or focused", find_skips),
)
