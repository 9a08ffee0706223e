"""Tells rings of imports of JavaScript and TypeScript, from the cycles that oxlint finds: one result for each cause."""

from .finding import find_rings
from .graph import Import

__all__ = ["Import", "find_rings"]
