"""Holds the claims of the documents against the files: the lens `docs`."""

from ..lens import Detector
from .links import find_dead_links
from .named_things import find_missing_things
from .options import find_unknown_options
from .versions import find_contradictions

DETECTORS = (
    Detector("links and anchors of READMEs and documents in the root", find_dead_links),
    Detector("files and commands that the documents tell people to use", find_missing_things),
    Detector("command-line options that the documents show", find_unknown_options),
    Detector("versions, supported languages and the licence, for contradictions", find_contradictions),
)
