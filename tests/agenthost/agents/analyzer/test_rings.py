"""Oxlint's cycles are told as rings, each with what to move so that it ends."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from agenthost.agents.analyzer.rings.files import RingFiles
from agenthost.agents.analyzer.rings.finding import relieve
from agenthost.agents.analyzer.rings.graph import Import, ImportGraph
from agenthost.agents.reading import grammars
from tests.agenthost.agents.analyzer.driven import analyze_with, tree

A = "export const a = 1;\nexport const c = () => b;\n"
B = "import { a } from './a';\nexport const b = () => a;\n"
LARGE = (
    "None of the 6 files loads without the others. 5 of the files import `a` from `a.ts`. What is named needs nothing of the ring: "
    "in files of its own no ring would be left."
)


def rings(folder: Path, files: Mapping[str, str]) -> list[tuple[str, str]]:
    """Returns the titles of the rings, with the paths and lines that they name."""
    found = analyze_with("oxlint", tree(folder, files))["findings"]
    places = [(one, one["evidence"][0]) for one in found if "import-ring" in one["rule"]]
    return [(one["title"], f"{place['path']}:{place['start_line']}") for one, place in places]


@pytest.mark.processes
@pytest.mark.parametrize(
    "files",
    [
        {"a.js": f"import {{ b }} from './b.js';\n{A}", "b.js": B},
        {"a.ts": f"import {{ b }} from '@/b';\n{A}", "b.ts": B}
        | {
            "tsconfig.json": '{\n  // aliases\n  "extends": "./base.json",\n}',
            "base.json": '{"compilerOptions": {"paths": {"@/*": ["./*"]}}}',
        },
        {"a.ts": f"import {{ b }} from '#b';\n{A}", "b.ts": B, "package.json": '{"imports": {"#*": "./*.ts"}}'},
        {"a.ts": f"import {{ b }} from './barrel';\n{A}", "b.ts": B, "barrel.ts": "export * from './b';\n"},
        {"a.ts": f"import {{ d as b }} from './barrel';\n{A}", "b.ts": B}
        | {"barrel.ts": "import { b } from './b';\nexport { b as d };\n"},
    ],
    ids=["relative", "tsconfig", "package imports", "barrel", "barrel that imports"],
)
def test_rings_are_followed_through_aliases_and_barrels(files: dict[str, str], tmp_path: Path) -> None:
    place = "a.js:2" if "a.js" in files else "a.ts:2"
    assert rings(tmp_path, files) == [(f"Two files would not import each other without `a` of `{place[:4]}`.", place)]


@pytest.mark.processes
@pytest.mark.parametrize(
    "files",
    [
        {"a.ts": "import type { B } from './b';\n", "b.ts": "import { a } from './a';\nexport interface B {}\n"},
        {"a.ts": "import { B } from './b';\nlet x: B;", "b.ts": "import { a } from './a';\nexport interface B {}\na;"},
        {"a.ts": "import { B } from './b';\nlet x: B;\n", "b.ts": "import { a } from './a';\nexport class B {}\na;"},
        {"a.js": "function f() {\n  const b = require('./b');\n}\n", "b.js": "const a = require('./a');\n"},
        {"a.js": "const f = () => import('./b');\n", "b.js": "import { a } from './a';\na();\n"},
        {"a.js": "import x from 'b';\nx();", "b.js": "import a from './a';\na();"},
        {"a.ts": "import { b } from './b';\nexport const a = () => b;\n", "b.ts": B},
        {"a.ts": f"import {{ b }} from './b';\n{A}", "b.ts": f"{B}import {{ c }} from './a';\nc();\n"},
        {"a.ts": "import { b } from './b';\nexport const a = () => b;\nexport type a = typeof a;\n", "b.ts": B},
        {"a.ts": f"import {{ b }} from './b';\nimport {{ c as d }} from './c';\nd();\n{A}", "b.ts": B}
        | {"c.ts": "/* eslint-disable */\nimport { c as a } from './a';\nexport const c = () => a;\n"},
        {"tests/a.ts": f"import {{ b }} from './b';\n{A}", "tests/b.ts": B},
        {"a.ts": "import { x } from './barrel';\nexport const a = x;\n", "x.ts": "export const x = 1;\n"}
        | {"barrel.ts": "export * from './x';\nexport * from './a';\n"},
    ],
)
def test_a_ring_that_ends_itself_or_only_by_a_new_design_is_not_told(files: dict[str, str], tmp_path: Path) -> None:
    assert rings(tmp_path, files) == []


@pytest.mark.processes
def test_a_large_ring_tells_what_to_move(tmp_path: Path) -> None:
    files = {f"b{n}.ts": f"import {{ a }} from './a';\nexport const b{n} = () => a;\n" for n in range(5)}
    uses = "".join(f"import {{ b{n} }} from './b{n}';\n" for n in range(5))
    files["a.ts"] = f"{uses}export const a = 1;\nexport const c = () => [b0, b1, b2, b3, b4];\n"

    result = analyze_with("oxlint", tree(tmp_path, files))

    assert [(one["title"], one["severity"], one["claim"]) for one in result["findings"]] == [
        (
            "Files import each other in rings, first of all for `a`",
            "low",
            LARGE,
        )
    ]


@pytest.mark.processes
def test_of_a_ring_that_is_too_long_to_follow_no_end_is_told(tmp_path: Path) -> None:
    files = {f"a{n}.ts": f"import {{ a }} from './a{(n + 1) % 38}';\nexport const a = 1;\na();\n" for n in range(38)}

    ((title, place),) = rings(tmp_path, files)

    assert (title, place[:1]) == ("Files import each other in rings of 36 and more", "a")


@pytest.mark.processes
def test_without_grammars_no_ring_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(grammars, "load", lambda _: None)
    assert rings(tmp_path, {"a.js": f"import {{ b }} from './b.js';\n{A}", "b.js": B}) == []


class Movable(RingFiles):
    """Files of which one name can be moved out of two."""

    def __init__(self) -> None:
        super().__init__(Path(), [])

    def can_move(self, path: str, name: str, group: ImportGraph) -> bool:
        return path in {"m00000", "m00500"}


def test_the_fewest_moves_are_found_in_a_large_group_without_recursion() -> None:
    names = (("x", "x"),)
    chain = [Import(f"m{n:05}", 1, f"m{(n + 1) % 1100:05}") for n in range(1100)]
    chain[1099], chain[499] = (
        Import("m01099", 1, "m00000", names),
        Import("m00499", 1, "m00500", (*names, ("y", "y"))),
    )
    graph = ImportGraph.of([*chain, Import("m00008", 2, "m00007")])
    moves, left = relieve(graph, Movable())
    assert [(move.path, move.names) for move in moves] == [("m00000", ("x",))]
    assert (len(graph.groups()[0]), left) == (1100, 2)
