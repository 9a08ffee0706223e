import time
from collections.abc import Callable

import pytest

from agenthost.agents.reading import grammars
from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.structure.packages import find_package_rings

Looker = Callable[..., list[Finding]]
WORKSPACE = {
    "package.json": '{"name": "all", "workspaces": ["p", "q"]}',
    "p/package.json": '{"name": "@x/p"}',
    "p/src/index.ts": "export const brand = 1;\nexport const area = 1;\n",
    "p/src/use.ts": "import { clamp } from '@x/q';\nexport const a = clamp;\n",
    "p/src/more.ts": "import { clamp } from '@x/q';\nexport const b = clamp;\n",
    "q/package.json": '{"name": "@x/q"}',
    "q/src/index.ts": "export { clamp } from './clamp';\n",
    "q/src/clamp.ts": "import { brand } from '@x/p';\nexport const clamp = brand;\n",
}


def test_packages_that_a_few_imports_tie_to_each_other_are_found(look: Looker) -> None:
    (found,) = look(find_package_rings, WORKSPACE)
    assert found.title == "Two packages import each other: @x/q and @x/p"
    assert found.remedy == "Move `brand` into `@x/q`, or into a package that both depend on."
    assert [item.quote for item in found.evidence] == [
        "import { brand } from '@x/p';",
        "import { clamp } from '@x/q';",
    ]


@pytest.mark.parametrize(
    "clamp",
    [
        "import type { brand } from '@x/p';\nexport const clamp = 1;\n",
        "import { brand } from '@x/p';\nexport const clamp: brand = 1;\n",
        "import { brand } from '@x/play';\nexport const clamp = brand;\n",
        "import { brand } from '@x/q';\nexport const clamp = brand;\n",
        "import '@x/p';\nexport const clamp = 1;\n",
        "([" * 100_000,
    ],
    ids=["type", "used as a type", "another", "itself", "nothing", "no code"],
)
def test_imports_that_are_gone_or_lead_elsewhere_tie_nothing(look: Looker, clamp: str) -> None:
    begun = time.process_time()
    assert look(find_package_rings, WORKSPACE | {"q/src/clamp.ts": clamp}) == []
    assert time.process_time() - begun < 2


def test_without_grammars_packages_are_not_judged(look: Looker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammars, "load", lambda _: None)
    assert look(find_package_rings, WORKSPACE) == []
