from collections.abc import Callable

import pytest

from agenthost.agents.claims.lens import find_broken_claims
from agenthost.agents.survey.finding import Finding

Looker = Callable[..., list[Finding]]
PAGE = "https://github.com/me/it"
PROJECT = {"pyproject.toml": f'[project]\nname = "it"\nurls = {{home = "{PAGE}"}}\n'}
GUIDE = {"docs/guide.md": "# Guide\n\n## What's new, in 2.0?\n\n## Odd {#own-id}\n\n<a name='old'></a>\n"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[a](docs/guide.md#first)", "`#first` names no section of docs/guide.md"),
        ("[a](docs/guide#first)", "`#first` names no section of docs/guide.md"),
        (f"[a]({PAGE}/blob/main/docs/guide.md#first)", "`#first` names no section of docs/guide.md"),
        ("[a](docs/guide.md#what\u2019s-new,-in-2.0)", "punctuation is no part of their names"),
        (
            "[a](docs/guide.md#whats-new-in-20) [b](docs/guide.md#own-id) [c](docs/guide.md#old) [d](docs/guide.md#L3)",
            "",
        ),
        ("[a](docs/made.md#first) [b](docs/gone.md#first)", ""),
        ("https://github.com/you/it/blob/main/docs/guide.md#first", ""),
        ("`[a](docs/guide.md#first)`", ""),
        (f"[terms]({PAGE}/TERMS.md)", f"`{PAGE}/TERMS.md` lacks `blob/` and the branch before `TERMS.md`"),
        (f"[terms]({PAGE}/blob/main/TERMS.md) [a]({PAGE}/issues) [b](https://github.com/you/it/TERMS.md)", ""),
        (
            f"[![b]({PAGE}/actions/workflows/ci.yml/badge.svg)](https://github.com/me/it-core/actions/workflows/ci.yml)",
            "the badge shows a workflow of me/it, and leads to me/it-core",
        ),
        (f"[![b]({PAGE}/actions/workflows/ci.yml/badge.svg)]({PAGE}/actions)", ""),
    ],
)
def test_a_link_is_followed_to_its_section(look: Looker, line: str, told: str) -> None:
    others = {"docs/made.md": "# A\n\n--8<-- 'b.md'\n", "TERMS.md": "", ".github/workflows/ci.yml": ""}
    found = look(find_broken_claims, {"README.md": f"# It\n\n{line}\n", **PROJECT, **GUIDE, **others})
    assert [(item.evidence[0].start_line, told in item.title) for item in found] == [(3, True)] * bool(told)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("See [the guide][the-guide].\n\n[other]: https://a.b\n", 1),
        ("See [the `guide`][the-guide].\n", 1),
        ("See [the guide][guide].\n\n[guide]: https://a.b\n", 0),
        ("`[the guide][guide]` and\n\n```\n[the guide][guide]\n```\n\n[other]: https://a.b\n", 0),
        ("Titles are like [Fix][Core] x, and cells like table[row][name].\n", 0),
    ],
)
def test_a_link_without_a_definition_is_found(look: Looker, text: str, count: int) -> None:
    found = look(find_broken_claims, {"README.md": text})
    assert [item.rule for item in found] == ["lens:undefined-label"] * count


def test_what_a_changelog_and_a_template_link_to_is_left_alone(look: Looker) -> None:
    documents = dict.fromkeys(
        ("CHANGELOG.md", "docs/releases/1.0.md", "templates/README.md"), "[a](#gone) [b](/docs/guide.md#gone)\n"
    )
    assert look(find_broken_claims, {**GUIDE, **documents}) == []
