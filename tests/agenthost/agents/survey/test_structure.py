from collections.abc import Callable

import pytest

from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.structure.import_graph import Import, ImportGraph
from agenthost.agents.survey.structure.lens import find_other_structure, find_python_structure

Looker = Callable[..., list[Finding]]


def quotes(found: list[Finding]) -> list[str]:
    return [item.quote for finding in found for item in finding.evidence]


def test_a_ring_of_imports_cites_the_lines_that_close_it(look: Looker) -> None:
    files = {
        "shop/__init__.py": "",
        "shop/cart.py": "from shop.price import price\n\ndef total(): return price()\n",
        "shop/price.py": "import os\nfrom .cart import total\n\ndef price(): return 1\n",
    }
    (found,) = look(find_python_structure, files)
    assert found.title == "Two files import each other: shop/cart.py and shop/price.py"
    assert quotes([found]) == ["from shop.price import price", "from .cart import total"]


@pytest.mark.parametrize(
    "price",
    [
        "def price():\n    from .cart import total\n    return total\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .cart import total\n\ndef price(): return 1\n",
        "import typing as t\nif t.TYPE_CHECKING:\n    from .cart import total\nelse:\n    total = None\n\ndef price(): return 1\n",
        "def price(): return 1\n\nfrom .cart import total\n",
        "def price(): return 1\n\nif __name__ == '__main__':\n    from .cart import total\n",
        "import shop\n\ndef price(): return shop.cart.total\n",
        "from .cart import total  (\n",
    ],
)
def test_an_import_that_does_not_run_at_import_time_closes_no_ring(look: Looker, price: str) -> None:
    files = {
        "shop/__init__.py": "from .cart import total\n",
        "shop/cart.py": "from .price import price\n\ndef total(): return price()\n",
        "shop/price.py": price,
    }
    assert look(find_python_structure, files) == []


def test_a_ring_of_plain_module_imports_is_harmless(look: Looker) -> None:
    files = {
        "shop/__init__.py": "",
        "shop/a.py": "from shop import b\n\ndef f(): return b\n",
        "shop/b.py": "import shop.a\n\ndef g(): return shop.a\n",
    }
    assert look(find_python_structure, files) == []


def test_rings_inside_tests_are_not_the_products(look: Looker) -> None:
    files = {"tests/a.py": "from b import g\n\ndef f(): ...\n", "tests/b.py": "from a import f\n\ndef g(): ...\n"}
    assert look(find_python_structure, files) == []


def test_an_import_against_the_grain_is_found(look: Looker) -> None:
    files = {"app/__init__.py": "", "app/web/__init__.py": "", "app/store/__init__.py": ""}
    for number in range(6):
        files[f"app/store/s{number}.py"] = "def load(): ...\n"
        files[f"app/web/w{number}.py"] = (
            "".join(f"from app.store.s{n} import load\n" for n in range(6)) + "def f(): ...\n"
        )
    assert look(find_python_structure, files) == []
    files["app/store/extra.py"] = "from app.web.w1 import f\n\ndef g(): ...\n"
    (found,) = look(find_python_structure, files)
    assert found.title == "A lower layer imports a higher one: app/store imports app/web"
    assert quotes([found]) == ["from app.web.w1 import f"]


@pytest.mark.parametrize(
    "files",
    [
        {"a.js": "import { b } from './b.js';\nexport const a = b;\n", "b.js": "export * from './a';\n"},
        {"a.js": "const b = require('./b');\n", "b.js": "'use strict';\nvar a = require('./a')\n"},
        {"a.h": '#include "b.h"\n', "b.h": '#include "a.h"\n'},
        {"a.rb": "require_relative 'b'\n", "b.rb": "require_relative 'a'\n"},
    ],
)
def test_rings_in_other_languages_are_found(look: Looker, files: dict[str, str]) -> None:
    (found,) = look(find_other_structure, files)
    assert len(found.evidence) == 2


@pytest.mark.parametrize(
    "files",
    [
        {"a.ts": "import type { B } from './b';\n", "b.ts": "import { a } from './a';\nexport interface B {}\n"},
        {"a.ts": "import { B } from './b';\n", "b.ts": "import { a } from './a';\nexport interface B {}\n"},
        {"a.js": "function f() {\n  const b = require('./b');\n}\n", "b.js": "const a = require('./a');\n"},
        {"a.h": '/* #include "b.h" */\n', "b.h": '#include "a.h"\n'},
        {"a.js": "import x from 'b';\n", "b.js": "import a from './a';\n"},
    ],
)
def test_near_rings_in_other_languages_are_left_alone(look: Looker, files: dict[str, str]) -> None:
    assert look(find_other_structure, files) == []


def test_the_shortest_ring_is_found_in_a_large_group_without_recursion() -> None:
    chain = [Import(f"m{n:05}", 1, f"m{(n + 1) % 5000:05}") for n in range(5000)]
    graph = ImportGraph.of([*chain, Import("m00008", 2, "m00007")])
    (group,) = graph.groups()
    assert len(group) == 5000
    assert [edge.importer for edge in graph.shortest_ring(group)] == ["m00007", "m00008"]
