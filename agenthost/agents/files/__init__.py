"""Tells by name, and where that is not enough by the first lines, what a file is.

It reads nothing itself, and needs the standard library only: lenses, analyzers and facts share it.
"""

from .languages import SCRIPTS, interpreter, is_code, language
from .names import as_told, listed, spelt
from .roles import is_example, is_generated, is_product, is_test, is_test_data, is_tooling, is_vendored

__all__ = [
    "SCRIPTS",
    "as_told",
    "interpreter",
    "is_code",
    "is_example",
    "is_generated",
    "is_product",
    "is_test",
    "is_test_data",
    "is_tooling",
    "is_vendored",
    "language",
    "listed",
    "spelt",
]
