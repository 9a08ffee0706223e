"""The lens of this name; its detectors come with the next commits."""

from .lens import Detector

DETECTORS: tuple[Detector, ...] = ()
