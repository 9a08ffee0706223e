"""Finds rings of imports: the lens `structure`."""

from ..lens import Detector
from .script_rings import find_script_rings

DETECTORS = (Detector("which files of JavaScript and TypeScript import which, for rings", find_script_rings),)
