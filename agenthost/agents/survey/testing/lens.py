"""Finds what the tests leave out, and tests that do not test: the lens `tests`."""

from ..lens import Detector
from .hollow_tests import find_powerless_tests
from .untested import find_untested

DETECTORS = (
    Detector("larger modules that no test names", find_untested),
    Detector("tests that cannot fail", find_powerless_tests),
)
