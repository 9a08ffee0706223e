"""Holds the claims of the documents against the files: the lens `docs`."""

from ..lens import Detector
from .links import find_dead_links
from .manifests import find_unpackaged
from .named_things import find_missing_things
from .own_addresses import find_dead_addresses
from .requirements import find_contradictions

DETECTORS = (
    Detector("links and anchors of the documents", find_dead_links),
    Detector("badges of workflows, and addresses of the repository's own pages", find_dead_addresses),
    Detector("files and commands that the documents tell people to use", find_missing_things),
    Detector("files that manifests name", find_unpackaged),
    Detector("versions of languages that the README promises", find_contradictions),
)
