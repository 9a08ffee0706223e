"""Counts in a snapshot what a band may be chosen by. Pure: the same tree gives the same signals."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from conductor.core.model.plan import SnapshotPlan
from conductor.snapshots.reading.entries import FILE, PROGRAM
from conductor.snapshots.reading.listing import TreeEntry
from conductor.snapshots.scopes.scope import ScopeKind

# By the ends of names; what is not here is text or data of some kind.
_LANGUAGES: Mapping[str, str] = {
    end: language
    for language, ends in {
        "c": "c h",
        "c++": "cc cpp cxx hh hpp hxx",
        "c#": "cs",
        "clojure": "clj cljs",
        "css": "css scss less",
        "dart": "dart",
        "elixir": "ex exs",
        "erlang": "erl hrl",
        "go": "go",
        "haskell": "hs",
        "html": "html htm",
        "java": "java",
        "javascript": "js jsx mjs cjs",
        "julia": "jl",
        "kotlin": "kt kts",
        "lua": "lua",
        "objective-c": "m mm",
        "ocaml": "ml mli",
        "perl": "pl pm",
        "php": "php",
        "proto": "proto",
        "python": "py pyi",
        "r": "r",
        "ruby": "rb",
        "rust": "rs",
        "scala": "scala",
        "shell": "sh bash zsh",
        "sql": "sql",
        "svelte": "svelte",
        "swift": "swift",
        "terraform": "tf",
        "typescript": "ts tsx",
        "vue": "vue",
        "zig": "zig",
    }.items()
    for end in ends.split()
}


@dataclass(frozen=True, slots=True)
class Signals:
    """Signals of a snapshot: its files and their bytes, those in a language, the languages by their files, and what changed."""

    files: int
    bytes: int
    source_files: int
    languages: tuple[str, ...]
    changed_files: int
    scope: str


def read_signals(tree: Mapping[bytes, TreeEntry], snapshot: SnapshotPlan) -> Signals:
    """Returns the signals of a tree."""
    files = {path: entry for path, entry in tree.items() if entry.mode in (FILE, PROGRAM)}
    found = Counter(language for path in files if (language := _language(path)))
    languages = tuple(sorted(found, key=lambda language: (-found[language], language)))
    size = sum(entry.size for entry in files.values())
    changed = snapshot.dirty_count if snapshot.scope == ScopeKind.WHOLE else snapshot.changed_count
    return Signals(len(files), size, found.total(), languages, changed, snapshot.scope)


def _language(path: bytes) -> str:
    return _LANGUAGES.get(PurePosixPath(path.decode(errors="replace")).suffix[1:].lower(), "")
