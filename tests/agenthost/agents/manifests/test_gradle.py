"""Builds of Gradle that contradict themselves, or hold what nothing uses, are told; what may be computed is not."""

import io
from pathlib import Path

import pytest

from agenthost.agents.manifests.gradle import CATALOGUE, find_in_gradle
from agenthost.agents.reading.snapshot import Snapshot
from agenthost.agents.survey.survey import Survey
from agenthost.agents.voice import Voice

STRICT = 'dependencies {{\n  old("a.b:c:{}") {{\n    isTransitive = false\n    version {{ strictly("{}") }}\n  }}\n}}\n'
SETTINGS = 'include("shop-core")\ninclude("shop-web")\n'
MODULES = {"shop-old/build.gradle": "plugins { }\n", "shop-old/src/a.java": "class A {}\n"}
ALIASES = (
    '[versions]\na = "1"\n[libraries]\nautoCommon = "a:b:1"\nauto-service = "a:c:1"\n[plugins]\nspot = { id = "a" }\n'
)
BUILD = {"build.gradle.kts": "alias(libs.plugins.spot)\napi(libs.auto.service)\n"}


def told(root: Path, files: dict[str, str]) -> set[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    found = find_in_gradle(Survey(Snapshot(root), Voice(io.StringIO()), seconds=60))
    return {f"{one.rule.removeprefix('lens:')} {one.evidence[0].path}:{one.evidence[0].start_line}" for one in found}


@pytest.mark.parametrize(
    ("files", "rules"),
    [
        ({"build.gradle.kts": STRICT.format("1.15.2", "1.14.0")}, {"two-versions build.gradle.kts:2"}),
        ({"settings.gradle": SETTINGS, **MODULES}, {"module-left-out shop-old/build.gradle:1"}),
        ({CATALOGUE: ALIASES, **BUILD}, {f"unused-alias {CATALOGUE}:4"}),
    ],
)
def test_what_contradicts_itself_or_is_not_used_is_told(tmp_path: Path, files: dict[str, str], rules: set[str]) -> None:
    assert told(tmp_path, files) == rules


@pytest.mark.parametrize(
    "files",
    [
        {"build.gradle.kts": STRICT.format("1.14.0", "1.14.0")},
        {"build.gradle.kts": STRICT.format("$version", "1.14.0")},
        {"settings.gradle": SETTINGS + 'include("shop-old")\n', **MODULES},
        {"settings.gradle": SETTINGS + "// shop-old waits for its release\n", **MODULES},
        {"settings.gradle": SETTINGS + "rootDir.eachDir { include(it.name) }\n", **MODULES},
        {"settings.gradle": SETTINGS + 'includeBuild("old")\n', **MODULES},
        {"settings.gradle": SETTINGS, **MODULES, "shop-old/settings.gradle": ""},
        {"settings.gradle": SETTINGS, **MODULES, ".github/workflows/a.yml": "run: cd shop-old && gradle test\n"},
        {"settings.gradle": 'include("shop-core")\n', **MODULES},
        {CATALOGUE: ALIASES + '[bundles]\nall = ["autoCommon"]\n', **BUILD},
        {CATALOGUE: ALIASES, **BUILD, "buildSrc/a.kt": 'libs.findLibrary("autoCommon")\n'},
        {CATALOGUE: ALIASES, **BUILD, "buildSrc/a.kt": "libs.findLibrary(name)\n"},
    ],
)
def test_what_may_be_meant_or_computed_is_not_told(tmp_path: Path, files: dict[str, str]) -> None:
    assert told(tmp_path, files) == set()
