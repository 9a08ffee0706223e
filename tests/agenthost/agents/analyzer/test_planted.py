"""A configuration in the repository changes nothing of what a tool finds: it only narrows, applied by us, and counted."""

from collections import Counter
from pathlib import Path

import pytest

from tests.agenthost.agents.analyzer.driven import analyze_with, tree

pytestmark = pytest.mark.processes

TOOLS = (
    "ruff",
    "zizmor",
    "shellcheck",
    "shellcheck-run",
    "hadolint",
    "lizard",
    "typos",
    "ast-grep",
    "oxlint",
    "cppcheck",
)
TANGLED = "def tangled(a):\n" + "".join(f"    if a == {at}:\n        a += 1\n        a -= 1\n" for at in range(410))
CODE = {
    "a.py": f"import requests\nrequests.get(url)\n{TANGLED}",
    "a.sh": "#!/bin/bash\nif [ -n ${A} ]; then cd x; fi\n",
    "Dockerfile": "FROM debian\nRUN pip install x\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: other/action@v1\n"
    "      - run: |\n          [ -n ${A} ] || exit 1\n          ! grep -q x a.py\n",
    "README.md": "See the documentaion.\n",
    "a.js": "fetch({ rejectUnauthorized: false });\n",
    "sub/a.ts": "export const both = { a: 1, a: 2 };\nexport const never = both.a === NaN;\n",
    "a.c": '#include <stdio.h>\nint one(void) {\n    FILE *file = fopen("a", "r");\n    return !file;\n}\n',
    "sub/b.c": '#include <stdio.h>\nint two(void) {\n    FILE *file = fopen("a", "r");\n    return !file;\n}\n',
}
BAIT = "{bait}"  # a file that nothing may make
OXLINTRC = (
    '{"ignorePatterns": ["**/*"], "jsPlugins": ["./bait.js"], "extends": ["/etc/x"], "rules": {"no-dupe-keys": "off"}}'
)
SCRIPT = f"require('fs').writeFileSync('{BAIT}', ''); export default {{ ignorePatterns: ['**/*'] }};\n"
PLANTED = {
    ".shellcheckrc": "disable=all\nshell=zsh\n",
    ".github/zizmor.yml": "rules:\n  unpinned-uses: {}\n  excessive-permissions:\n    disable: true\n",
    "zizmor.yml": "rules: [",
    ".hadolint.yaml": "failure-threshold: ignore\nno-fail: true\nignored: [DL3006]\noverride: {info: [DL3013]}\n",
    "typos.toml": "[default]\nextend-ignore-re = ['.*']\n[files]\nextend-exclude = ['*.md']\n[default.extend-words]\nx = 'x'\n",
    "ruff.toml": "required-version = '==0.0.1'\nexclude = ['*']\nextend = '/etc/passwd'\n[lint]\nselect = []\nignore = ['S113']\n",
    ".ruff.toml": "exclude = ['*']\n[lint]\nselect = []\n",
    "pyproject.toml": "[tool.ruff]\nrequired-version = '==0.0.1'\n[tool.typos.default]\nlocale = 'xx'\n",
    "setup.cfg": "[flake8]\nexclude = .\n[flake8:local-plugins]\nextension = X = bait:run\npaths = .\n",
    "bait.py": f"open({BAIT!r}, 'w')\n",
    "sitecustomize.py": f"open({BAIT!r}, 'w')\n",
    "lizard_ext/lizardbait.py": f"open({BAIT!r}, 'w')\n",
    **dict.fromkeys(
        ("cppcheck.cfg", "std.cfg", "posix.cfg", "gnu.cfg"), '{"suppressions": ["resourceLeak"], "addons": ["bait.py"]}'
    ),
    "a.cppcheck": '<project version="1"><exclude><path name="."/></exclude><addons><addon>bait.py</addon></addons></project>',
    "compile_commands.json": '[{"directory": "/", "file": "a.c", "command": "cc -DNONE -include bait.h a.c"}]',
    ".cppcheck-suppressions": "resourceLeak:sub/b.c\n*\n",
    "sgconfig.yml": "ruleDirs: [none]\ncustomLanguages:\n  python:\n    libraryPath: bait.so\n    extensions: [py, js, sh]\n",
    "whitelizard.txt": "tangled\n",
    **dict.fromkeys((".oxlintrc.json", "sub/.oxlintrc.json", ".eslintrc.json"), OXLINTRC),
    **dict.fromkeys(("oxlint.config.ts", "sub/oxlint.config.ts", "vite.config.ts", "bait.js"), SCRIPT),
    "package.json": '{"eslintIgnore": ["*"], "eslintConfig": {"rules": {"no-dupe-keys": "off"}}}',
    "tsconfig.json": '{"extends": "/etc/passwd", "exclude": ["**/*"], "compilerOptions": {"plugins": [{"name": "./bait.js"}]}}',
    ".gitattributes": "* linguist-vendored linguist-generated export-ignore\n",
    **dict.fromkeys((".gitignore", ".ignore", ".rgignore", ".dockerignore", ".eslintignore", "sub/.gitignore"), "*\n"),
}


def run(tool: str, root: Path) -> tuple[Counter[str], Counter[str]]:
    """Returns the counts of a shipped analyzer: found by the tool's rule, and narrowed by rule."""
    result = analyze_with(tool, root)
    assert result["unjudged"] == 0, result["notes"]
    found: Counter[str] = Counter()
    for rule, count in result["coverage"]["rules"].items():
        found[rule.partition("/")[0]] += count
    return found, Counter(result["coverage"]["narrowed"])


@pytest.mark.parametrize("tool", TOOLS)
def test_a_planted_configuration_only_narrows_and_is_counted(tool: str, tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    plain, nothing = run(tool, tree(tmp_path, CODE))
    planted = {path: text.replace(BAIT, str(bait)) for path, text in PLANTED.items()}
    found, narrowed = run(tool, tree(tmp_path, planted))

    assert plain
    assert not nothing
    assert found + narrowed == plain
    assert found or tool == "typos"  # whose documents are left out by name
    assert not bait.exists()
