"""What a project's own configuration leaves out is applied by us: read as data, with bounds, and in a comparison of the base."""

import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from agenthost.agents.analyzer.narrowing.globs import is_matched
from agenthost.agents.analyzer.narrowing.omissions import Omissions
from agenthost.agents.analyzer.program import comparison_in
from agenthost.agents.analyzer.results import Result


def narrow(tool: str, root: Path, base: str = "", **files: str) -> Omissions:
    write(root, files)
    found: Omissions = import_module(f"agenthost.agents.analyzer.narrowing.{tool}").narrow(root, base)
    return found


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


CI = ".github/workflows/ci.yml"


def result(rule: str, path: str, message: str = "Something is wrong", line: int = 3) -> Result:
    return Result(rule, "warning", message, path, line, line)


PYPROJECT = """
[tool.ruff]
extend-exclude = ["legacy"]
builtins = ["_"]
[tool.ruff.lint]
ignore = ["E5", "B006"]
[tool.ruff.lint.per-file-ignores]
"tests/**" = ["S"]
"!src/**.py" = ["F821"]
"""
FLAKE8 = "[flake8]\nextend-ignore =\n  # why\n  B012, W504\nper-file-ignores =\n  t/*,setup.py:\n    # docs\n    E722,\n    F401\n"


@pytest.mark.parametrize(
    ("files", "rule", "place", "is_out"),
    [
        ({"pyproject.toml": PYPROJECT}, "E501", ("src/a.py", ""), True),
        ({"pyproject.toml": PYPROJECT}, "B006", ("src/a.py", ""), True),
        ({"pyproject.toml": PYPROJECT}, "B007", ("src/a.py", ""), False),
        ({"pyproject.toml": PYPROJECT}, "S113", ("tests/one/a.py", ""), True),
        ({"pyproject.toml": PYPROJECT}, "S113", ("src/a.py", ""), False),
        ({"pyproject.toml": PYPROJECT}, "F821", ("tools/a.py", ""), True),
        ({"pyproject.toml": PYPROJECT}, "F821", ("src/a.py", "Undefined name `b`"), False),
        ({"pyproject.toml": PYPROJECT}, "F821", ("src/a.py", "Undefined name `_`"), True),
        ({"pyproject.toml": PYPROJECT}, "B007", ("src/legacy/a.py", ""), True),
        # The nearest configuration counts alone, and what it extends.
        ({"pyproject.toml": PYPROJECT, "sub/ruff.toml": ""}, "B006", ("sub/a.py", ""), True),
        ({"pyproject.toml": PYPROJECT, "sub/ruff.toml": "ignore = ['F8']"}, "B006", ("sub/a.py", ""), False),
        (
            {"pyproject.toml": PYPROJECT, "sub/ruff.toml": "extend = '../pyproject.toml'"},
            "B006",
            ("sub/a.py", ""),
            True,
        ),
        ({"pyproject.toml": PYPROJECT, "ruff.toml": "ignore = ['F8']"}, "B006", ("src/a.py", ""), False),
        ({"ruff.toml": "extend = '../../etc/ruff.toml'"}, "B006", ("a.py", ""), False),
        ({"ruff.toml": "extend = 'ruff.toml'\nignore = ['B006']"}, "B006", ("a.py", ""), True),
        ({"setup.cfg": FLAKE8}, "B012", ("src/a.py", ""), True),
        ({"setup.cfg": FLAKE8}, "E722", ("t/a.py", ""), True),
        ({"setup.cfg": FLAKE8}, "E722", ("src/a.py", ""), False),
        # What leaves out everything says nothing of any rule.
        ({"ruff.toml": "ignore = ['ALL']\nexclude = ['*', '**/*']"}, "B006", ("a.py", ""), False),
        # What is broken, or of another form, is not applied.
        ({"ruff.toml": "ignore = 'ALL'\nper-file-ignores = 3\nlint = []\nextend = 7"}, "B006", ("a.py", ""), False),
        ({"ruff.toml": "[[[", "setup.cfg": "[flake8\n=", "pyproject.toml": "tool = 1"}, "B006", ("a.py", ""), False),
    ],
)
def test_ruff_and_flake8(
    files: dict[str, str], rule: str, place: tuple[str, str], is_out: object, tmp_path: Path
) -> None:
    assert narrow("ruff", tmp_path, **files).leaves_out(result(rule, *place)) is is_out


ZIZMOR = """
rules:
  artipacked: {disable: true}
  template-injection:
    ignore:
      - ci.yml:3   # a constant
      - release.yml
  dangerous-triggers:
    disable: true
  unpinned-uses:
    config:
      policies:
        "actions/*": ref-pin
        ours/tool: any
        "*": hash-pin
"""
CODESPELL = "[codespell]\nskip = ./po,*.svg\nignore-words-list = chanks, teh\n"
TOML = "[tool.codespell]\nignore-words-list = 'chanks,teh'\n"
TYPOS = (
    "[default.extend-words]\nratatui = 'ratatui'\nteh = 'the'\n[files]\nextend-exclude = ['*.svg', 'CHANGELOG.md']\n"
)


@pytest.mark.parametrize(
    ("tool", "files", "found", "is_out"),
    [
        ("shellcheck", {".shellcheckrc": "# why\ndisable=SC2086,2034 # x\n"}, result("SC2034", "a/b.sh"), True),
        ("shellcheck", {".shellcheckrc": "disable=SC2000-SC2099"}, result("SC2086", "b.sh"), True),
        ("shellcheck", {".shellcheckrc": "disable=SC2086"}, result("SC2081", "b.sh"), False),
        ("shellcheck", {"x/.shellcheckrc": "disable=SC2086"}, result("SC2086", "y/b.sh"), False),
        ("shellcheck", {".shellcheckrc": "disable=all"}, result("SC2086", "b.sh"), False),
        ("hadolint", {".hadolint.yaml": "ignored:\n- DL3008\n- 'DL3018' # x\n"}, result("DL3018", "Dockerfile"), True),
        ("hadolint", {".hadolint.yml": "ignored: [DL3008, DL3018]\n"}, result("DL3018", "x/Dockerfile"), True),
        ("hadolint", {".hadolint.yaml": "ignored:\n  - DL3008\ntrustedRegistries: [x]"}, result("DL3", "Dockerfile"), False),
        ("hadolint", {".hadolint.yaml": "ignored: {DL3008: true}"}, result("DL3008", "Dockerfile"), False),
        ("hadolint", {"Hadolint.yml": "ignored: [DL3008]"}, result("DL3008", "Dockerfile"), True),
        ("hadolint", {CI: "run: |\n  hadolint \\\n  --ignore DL3008 --ignore DL3013 -"}, result("DL3013", "a/Dockerfile"), True),
        ("hadolint", {CI: "uses: hadolint/a@v3\nwith:\n  ignore: DL3008,DL3013"}, result("DL3013", "a/Dockerfile"), True),
        ("hadolint", {CI: "run: hadolint --ignore DL3008 -"}, result("DL3013", "Dockerfile"), False),
        ("hadolint", {CI: "run: another --ignore DL3008"}, result("DL3008", "Dockerfile"), False),
        ("zizmor", {".github/zizmor.yml": ZIZMOR}, result("dangerous-triggers", ".github/workflows/ci.yml"), True),
        ("zizmor", {".github/zizmor.yml": ZIZMOR}, result("template-injection", ".github/workflows/ci.yml"), True),
        ("zizmor", {"zizmor.yml": ZIZMOR}, result("template-injection", ".github/workflows/ci.yml", line=4), False),
        ("zizmor", {"zizmor.yml": ZIZMOR}, result("template-injection", ".github/workflows/release.yml", line=9), True),
        ("zizmor", {"zizmor.yml": ZIZMOR, "a.yml": "\n\n - uses: actions/x@v1"}, result("unpinned-uses", "a.yml"), True),
        ("zizmor", {"zizmor.yml": ZIZMOR, "a.yml": "\n\n - uses: actions/x"}, result("unpinned-uses", "a.yml"), False),
        ("zizmor", {"zizmor.yml": ZIZMOR, "a.yml": "\n\n - uses: ours/tool"}, result("unpinned-uses", "a.yml"), True),
        ("zizmor", {"zizmor.yml": ZIZMOR, "a.yml": "\n\n - uses: 'x/y@v1'"}, result("unpinned-uses", "a.yml"), False),
        ("typos", {"typos.toml": TYPOS}, result("typo", "a.md", "`ratatui` should be `ratatouille`."), True),
        ("typos", {"typos.toml": TYPOS}, result("typo", "a.md", "`documentaion` should be `documentation`."), False),
        ("typos", {".codespellrc": CODESPELL}, result("typo", "a.md", "`chanks` should be `chunks`."), True),
        ("typos", {".codespellrc": CODESPELL}, result("typo", "po/a.md", "`documentaion` should be …"), True),
        ("typos", {"pyproject.toml": TOML}, result("typo", "a.md", "`chanks` should be `chunks`."), True),
        ("typos", {".codespellrc": "[codespell\n"}, result("typo", "a.md", "`chanks` should be `chunks`."), False),
        ("typos", {"_typos.toml": TYPOS}, result("typo", "x/CHANGELOG.md", "`documentaion` should be …"), True),
    ],
)  # fmt: skip
def test_the_other_tools(tool: str, files: dict[str, str], found: Result, is_out: object, tmp_path: Path) -> None:
    assert narrow(tool, tmp_path, **files).leaves_out(found) is is_out


def test_the_note_names_file_and_setting_of_what_was_left_out_and_of_what_is_not_applied(tmp_path: Path) -> None:
    omissions = narrow("shellcheck", tmp_path, **{".shellcheckrc": "disable=SC2086\ndisable=all"})
    omissions.leaves_out(result("SC2086", "a.sh"))

    assert omissions.sentence == (
        "Settings that left results out: .shellcheckrc (disable). "
        "Settings that leave out everything are not applied: .shellcheckrc (disable)."
    )
    assert narrow("hadolint", tmp_path).sentence == ""


@pytest.mark.processes
def test_a_branch_cannot_choose_what_its_review_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    write(tmp_path, {"ruff.toml": "ignore = ['B006']", "sub/.shellcheckrc": "disable=SC2034"})
    git("add", "-A")
    git("commit", "-qm", "base")
    base = git("rev-parse", "HEAD")
    write(tmp_path, {"ruff.toml": "ignore = ['F']", "sub/.shellcheckrc": "disable=SC2086"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))

    of_ruff, of_shellcheck = narrow("ruff", tmp_path, base), narrow("shellcheck", tmp_path, base)

    assert [of_ruff.leaves_out(result(rule, "a.py")) for rule in ("B006", "F821")] == [True, False]
    assert [of_shellcheck.leaves_out(result(rule, "sub/a.sh")) for rule in ("SC2034", "SC2086")] == [True, False]
    assert "ruff.toml of the base (ignore)" in of_ruff.sentence
    # Where the base cannot be read, nothing is left out: what the branch says never counts.
    for wrong in ("0" * 40, "main", "--help"):
        assert not narrow("ruff", tmp_path, wrong).leaves_out(result("F821", "a.py"))


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ('{"base": "abc", "scope": "diff"} and words', "abc"),
        ('{"base": null}', ""),
        ("What is wrong?", ""),
        ("[1]", ""),
        ("", ""),
    ],
)
def test_the_prompt_says_what_the_snapshot_is_compared_with(text: str, base: str, tmp_path: Path) -> None:
    (tmp_path / "prompt").write_text(text)

    assert comparison_in(tmp_path / "prompt")[0] == base
    assert comparison_in(tmp_path / "none") == ("", frozenset())


@pytest.mark.parametrize(
    ("pattern", "path", "is_in"),
    [
        ("docs", "a/docs/b.py", True),
        ("*.py", "a/b.py", True),
        ("a/*.py", "a/b/c.py", False),
        ("a/**/c.py", "a/c.py", True),
        ("a/**", "a/b/c.py", True),
        ("a", "ab/c", False),
        ("/a/b/", "a/b/c", True),
        ("[!a]?.py", "bc.py", True),
        ("*" * 100 + "x", "a" * 200, False),
        ("a*" * 80 + "x", "a" * 4000, False),
        ("a*b*c", "aXbXbXc", True),
        ("*_test*.py", "a/my_test_of_test.py", True),
        ("**/tests/*.py", "a/tests/b/tests/x.py", True),
        ("**/" * 60 + "x", "a/" * 2000 + "a", False),
        ("**/a**", "b/a" * 1000, True),
        ("[z-a]", "b", False),
    ],
)
def test_patterns_match_as_in_ignore_lists_and_in_no_time(pattern: str, path: str, is_in: object) -> None:
    assert is_matched(path, pattern) is is_in


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b",
        "a: &x\n  <<: *x\n",
        "a:\n" * 9000,
        " " * 5000 + "a: b",
        "{" * 3000,
        "\n".join(" " * i + "a:" for i in range(3000)),
        "rules: !!python/object/apply:os.system [true]",
        "rules: {dangerous-triggers: [disable, true], unpinned-uses: {config: 7}}",
    ],
)
def test_odd_yaml_is_passed_over(text: str, tmp_path: Path) -> None:
    assert not narrow("zizmor", tmp_path, **{"zizmor.yml": text}).leaves_out(result("dangerous-triggers", "a.yml"))


@pytest.mark.parametrize(("tool", "file"), [("zizmor", "zizmor.yml"), ("hadolint", ".hadolint.yaml")])
def test_a_host_without_a_parser_of_yaml_says_that_it_reads_no_configuration(
    tool: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agenthost.agents.reading.yaml_tree.yaml", None)

    assert narrow(tool, tmp_path).sentence == ""
    with pytest.raises(LookupError, match="PyYAML"):
        narrow(tool, tmp_path, **{file: "ignored: [DL3008]"})


def test_a_link_out_of_the_snapshot_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "outside.toml").write_text("ignore = ['B006']")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/ruff.toml").symlink_to(tmp_path / "outside.toml")

    assert not narrow("ruff", tmp_path / "root").leaves_out(result("B006", "a.py"))


@pytest.mark.parametrize(
    ("files", "rule", "is_out"),
    [
        (
            {"package.json": '{"xo": {"rules": {"unicorn/no-invalid-fetch-options": "off"}}}'},
            "no-invalid-fetch-options",
            True,
        ),
        ({"eslint.config.js": "rules: { 'no-throw-literal': 0, eqeqeq: ['off'] }"}, "no-throw-literal", True),
        ({".oxlintrc.json": '{"rules": {"no-debugger": ["warn"]}}'}, "no-debugger", False),
        # For some files it is on.
        ({"eslint.config.mjs": "{ 'no-debugger': 'off' }, { 'no-debugger': 'error' }"}, "no-debugger", False),
        ({"sub/.eslintrc": "rules:\n  no-debugger: off\n"}, "no-debugger", False),
    ],
)
def test_what_a_linter_of_javascript_is_told_to_leave_out_is_left_out(
    tmp_path: Path,
    files: dict[str, str],
    rule: str,
    is_out: bool,  # noqa: FBT001 - a table
) -> None:
    assert narrow("oxlint", tmp_path, **files).leaves_out(result(rule, "src/a.ts")) is is_out


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ["a-", "@a/", '"a-b":', "no-x: ", "\n"])
def test_long_text_in_a_configuration_of_javascript_is_read_at_once(tmp_path: Path, unit: str) -> None:
    """It took minutes for a file of 250 KB that is made of one unit."""
    assert not narrow("oxlint", tmp_path, **{"eslint.config.js": unit * 100_000}).leaves_out(result("eqeqeq", "a.ts"))
