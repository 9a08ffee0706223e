import time
from collections.abc import Callable, Collection

import pytest

from agenthost.agents.reading import grammars
from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.structure.import_graph import Import, ImportGraph
from agenthost.agents.survey.structure.rings import relieve
from agenthost.agents.survey.structure.script_rings import find_script_rings

Looker = Callable[..., list[Finding]]
SCRIPT_B = "import { a } from './a';\nexport const b = () => a;\n"


def quotes(found: list[Finding]) -> list[str]:
    return [item.quote for finding in found for item in finding.evidence]


@pytest.mark.parametrize(
    "files",
    [
        {"a.js": "import { b } from './b.js';\nexport const a = 1;\nexport const c = () => b;\n", "b.js": SCRIPT_B},
        {"a.ts": "import { b } from '@/b';\nexport const a = 1;\nexport const c = () => b;\n", "b.ts": SCRIPT_B}
        | {
            "tsconfig.json": '{\n  // aliases\n  "extends": "./base.json",\n}',
            "base.json": '{"compilerOptions": {"paths": {"@/*": ["./*"]}}}',
        },
        {"p/src/a.ts": "import { b } from 'q/b';\nexport const a = 1;\nexport const c = () => b;\n"}
        | {"q/src/b.ts": "import { a } from 'p';\nexport const b = () => a;\n", "q/package.json": '{"name": "q"}'}
        | {"p/package.json": '{"name": "p", "exports": {".": {"import": "./src/a.ts"}}}'},
        {"a.ts": "import { b } from '#b';\nexport const a = 1;\nexport const c = () => b;\n", "b.ts": SCRIPT_B}
        | {"package.json": '{"imports": {"#*": "./*.ts"}}'},
    ],
    ids=["relative", "tsconfig", "workspace", "package imports"],
)
def test_rings_of_scripts_are_followed_through_aliases(look: Looker, files: dict[str, str]) -> None:
    found = look(find_script_rings, files)[-1]
    assert found.title == "Two files import each other, only for `a`"
    assert quotes([found])[0] == "export const a = 1;"


def test_a_name_that_is_needed_while_a_script_loads_is_a_hazard(look: Looker) -> None:
    files = {
        "a.ts": "import { b } from './b';\nexport const a = 1;\nexport const c = b + 1;\n",
        "b.ts": "import { a } from './a';\nexport const b = 2;\nexport const d = () => a;\n",
    }
    (found,) = look(find_script_rings, files)
    assert (
        "`a.ts` needs `b` while it loads (line 3): where `b.ts` is loaded first, that is not there yet" in found.claim
    )


def test_packages_that_a_few_imports_tie_to_each_other_are_found(look: Looker) -> None:
    files = {
        "package.json": '{"name": "all", "workspaces": ["p", "q"]}',
        "p/package.json": '{"name": "@x/p"}',
        "p/src/index.ts": "export const brand = 1;\nexport const area = 1;\n",
        "p/src/use.ts": "import { clamp } from '@x/q';\nexport const a = clamp;\n",
        "p/src/more.ts": "import { clamp } from '@x/q';\nexport const b = clamp;\n",
        "q/package.json": '{"name": "@x/q"}',
        "q/src/index.ts": "export { clamp } from './clamp';\n",
        "q/src/clamp.ts": "import { brand } from '@x/p';\nexport const clamp = brand;\n",
    }
    (found,) = look(find_script_rings, files)
    assert found.title == "Two packages import each other: @x/q and @x/p"
    assert found.remedy == "Move `brand` into `@x/q`, or into a package that both depend on."
    assert quotes([found]) == ["import { brand } from '@x/p';", "import { clamp } from '@x/q';"]


@pytest.mark.parametrize(
    "files",
    [
        {"a.ts": "import type { B } from './b';\n", "b.ts": "import { a } from './a';\nexport interface B {}\n"},
        {"a.ts": "import { B } from './b';\nlet x: B;", "b.ts": "import { a } from './a';\nexport interface B {}\na;"},
        {"a.ts": "import { B } from './b';\nlet x: B;\n", "b.ts": "import { a } from './a';\nexport class B {}\na;"},
        {"a.js": "function f() {\n  const b = require('./b');\n}\n", "b.js": "const a = require('./a');\n"},
        {"a.js": "const f = () => import('./b');\n", "b.js": "import { a } from './a';\na();\n"},
        {"a.js": "import x from 'b';\nx();", "b.js": "import a from './a';\na();"},
        {"a.ts": "import { b } from './b';\nexport const a = () => b;\n", "b.ts": SCRIPT_B},
        {"tests/a.ts": "import { b } from './b';\nexport const a = 1;\nb();\n", "tests/b.ts": SCRIPT_B},
    ],
)
def test_a_ring_that_ends_itself_or_only_by_a_new_design_is_not_reported(look: Looker, files: dict[str, str]) -> None:
    assert look(find_script_rings, files) == []


def test_small_rings_are_one_finding(look: Looker) -> None:
    files = {
        f"{n}/{name}.ts": text
        for n in range(3)
        for name, text in {
            "a": "import { b } from './b';\nexport const a = 1;\nexport const c = () => b;\n",
            "b": SCRIPT_B,
        }.items()
    }
    (found,) = look(find_script_rings, files)
    assert found.title == "3 small rings of imports, each only for names that could stand elsewhere"
    assert len(found.evidence) == 6


def test_without_grammars_scripts_are_not_judged(look: Looker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammars, "load", lambda _: None)
    assert look(find_script_rings, {"a.js": "import './b';\n", "b.js": "import './a';\n"}) == []


class Movable:
    """Files of which one name can be moved out of two."""

    def can_move(self, path: str, name: str, group: Collection[str]) -> bool:
        return path in {"m00000", "m00500"}

    def line(self, path: str, name: str) -> int:
        return 1

    def hazard(self, graph: ImportGraph, group: Collection[str]) -> None:
        return None


def test_the_fewest_moves_are_found_in_a_large_group_without_recursion() -> None:
    names = (("x", "x"),)
    chain = [Import(f"m{n:05}", 1, f"m{(n + 1) % 1100:05}") for n in range(1100)]
    chain[1099], chain[499] = (
        Import("m01099", 1, "m00000", 1, names),
        Import("m00499", 1, "m00500", 1, (*names, ("y", "y"))),
    )
    graph = ImportGraph.of([*chain, Import("m00008", 2, "m00007")])
    (group,) = graph.groups()
    ring = relieve(graph, group, Movable())
    assert [(move.path, move.names) for move in ring.moves] == [("m00000", ("x",))]
    assert (len(group), ring.left) == (1100, 2)


@pytest.mark.parametrize("line", ["([" * 40, "type A<T extends" * 30], ids=["brackets", "types"])
def test_text_that_is_made_to_cost_time_is_not_judged(look: Looker, line: str) -> None:
    begun = time.process_time()
    assert look(find_script_rings, {"a.ts": f"{line}\n" * 2000, "b.ts": "import './a';\n"}) == []
    assert time.process_time() - begun < 2
