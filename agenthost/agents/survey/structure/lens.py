"""Finds rings of imports, and files that are kept in several copies: the lens `structure`."""

from ..lens import Detector
from .copies import find_copies
from .python_rings import find_python_rings
from .script_rings import find_script_rings

DETECTORS = (
    Detector("which Python modules import which, for rings", find_python_rings),
    Detector("which files of JavaScript and TypeScript import which, for rings", find_script_rings),
    Detector("files that are the same in several packages", find_copies),
)
