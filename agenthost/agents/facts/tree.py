"""Scans `tree` and `languages`: what there is, and what it is written in."""

from collections import Counter
from typing import Any

from ..files import is_code, is_test, is_vendored, language
from .subject import Subject, count_lines

MAX_FOLDERS = 60
MAX_LARGEST = 20


def scan_tree(subject: Subject) -> dict[str, Any]:
    """Returns the number and size of the files, the top folders, and the largest files."""
    sizes = subject.snapshot.sizes
    files, sums = Counter[str](), Counter[str]()
    for path, size in sizes.items():
        top = path.partition("/")[0] if "/" in path else "."
        files[top] += 1
        sums[top] += size
    folders = sorted(files, key=lambda name: (-files[name], name))
    largest = sorted(sizes, key=lambda path: (-sizes[path], path))[:MAX_LARGEST]
    if len(folders) > MAX_FOLDERS:
        subject.miss(f"tree: {len(folders) - MAX_FOLDERS} smaller folders are left out.")
    return {
        "files": len(sizes),
        "folders": len(subject.snapshot.folders) - 1,
        "bytes": sum(sizes.values()),
        "top": [{"path": name, "files": files[name], "bytes": sums[name]} for name in folders[:MAX_FOLDERS]],
        "largest": [{"path": path, "bytes": sizes[path]} for path in largest],
    }


def scan_languages(subject: Subject) -> list[dict[str, Any]]:
    """Returns the languages of the code, the one with most lines first: its files, its lines, and those of tests."""
    files, lines, tests = Counter[str](), Counter[str](), Counter[str]()
    for path in subject.snapshot.paths:
        name = language(path)
        if not is_code(path) or is_vendored(path) or (source := subject.read(path)) is None:
            continue
        count = count_lines(source)
        files[name] += 1
        lines[name] += count
        tests[name] += count if is_test(path) else 0
    total = max(1, lines.total())
    return [
        {
            "name": name,
            "files": files[name],
            "lines": lines[name],
            "test_lines": tests[name],
            "share": round(lines[name] / total, 3),
        }
        for name in sorted(files, key=lambda name: (-lines[name], name))
    ]
