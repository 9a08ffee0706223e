"""Tells files that React renders from those of other libraries that write JSX, as Solid, whose rules are others."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..reading.snapshot import read_bytes

# `jsx-no-duplicate-props` holds in all libraries.
RULES = frozenset(
    {"jsx-key", "no-direct-mutation-state", "no-unstable-nested-components"}
    | {"rules-of-hooks", "style-prop-object", "void-dom-elements-no-children"}
)
MAX_BYTES = 200_000  # of a manifest, and of a file whose imports are looked at
_DEPENDENCIES = ("dependencies", "devDependencies", "peerDependencies")
_REACT = frozenset({"react", "preact", "next"})
_OTHER = frozenset({"solid-js"})
LINTER = "eslint-plugin"  # in the name of a package whose code shows the faults that a rule is to find
_FROM = r"""(?:\bfrom|\bimport|\brequire\s*\()\s*["'](?:%s)(?:/[^"'\n]*)?["']|@jsxImportSource\s+(?:%s)\b"""
_IMPORTS_REACT, _IMPORTS_OTHER = (
    re.compile((_FROM % ("|".join(names), "|".join(names))).encode()) for names in (_REACT, _OTHER)
)
_SOURCE = re.compile(rb'^[^\n/]*"jsxImportSource"\s*:\s*"([^"\n]*)"', re.MULTILINE)


def is_of_react(root: Path, path: str, content: bytes) -> bool:
    """Returns whether a file imports React, or its package depends on it; not where either one names another library."""
    if _IMPORTS_OTHER.search(content[:MAX_BYTES]):
        return False
    is_sure = bool(_IMPORTS_REACT.search(content[:MAX_BYTES]))
    folder = (root / path).parent
    return _renders(root, folder, is_sure=is_sure) if folder.is_relative_to(root) else is_sure


@lru_cache(maxsize=10_000)
def _renders(root: Path, folder: Path, *, is_sure: bool) -> bool:
    source = _SOURCE.search(read_bytes(folder / "tsconfig.json", MAX_BYTES) or b"")
    if source and source[1].decode(errors="replace").partition("/")[0] not in _REACT:
        return False
    manifest = read_bytes(folder / "package.json", MAX_BYTES)
    if manifest is not None:
        name, used = _read(manifest)
        is_other = used & _OTHER or LINTER in name
        return not is_other and (is_sure or bool({name, *used} & _REACT))
    return is_sure if folder == root else _renders(root, folder.parent, is_sure=is_sure)


def _read(manifest: bytes) -> tuple[str, set[str]]:
    """Returns a package's name, and those of its dependencies."""
    try:
        said: Any = json.loads(manifest)
    except (ValueError, RecursionError):
        return "", set()
    if not isinstance(said, dict):
        return "", set()
    groups = [group for key in _DEPENDENCIES if isinstance(group := said.get(key), dict)]
    return str(said.get("name")), set[str]().union(*groups)
