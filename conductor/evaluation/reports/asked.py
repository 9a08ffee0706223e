"""Says which findings of tools are about what a question names, and which of its subjects nothing that ran looks at.

A tool reads no question, so words are compared: those of the question with a finding's title, paths, rule and category, and with a
list of subjects that tools and kinds of files cover. A model reads its question itself. It is pure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from conductor.evaluation.evidence.ranking import REFUTED
from conductor.evaluation.reports.bands import Finding

MIN_WORD = 3
_WORD = re.compile(r"[a-z0-9+#]+")
# A name of code: with a dot or a line inside, a path, or with an inner capital.
_NAME = re.compile(r"\w[./_]\w|[a-z][A-Z]")
_COMMON = """
the and for are how what why where when who which that this with from does into our there their them have has was were will can
could should would about any all not but you your its one code file files repository project find show tell look see module use
modules used make made good bad most must first src lib work works problem problems wrong mend mended fix improve please more
anything something everything going being been than very worth need needs next engineer maintainer main index init app
"""


class Subject(NamedTuple):
    """A subject of questions: its name, words that mean it, and the tools, categories and kinds of files that cover it."""

    name: str
    words: str
    covered_by: str = ""


SUBJECTS = (
    Subject("performance", "performance slow speed latency fast faster memory leak leaks throughput scalability"),
    Subject("accessibility", "accessibility accessible a11y screenreader"),
    Subject("licences", "license licenses licence licences licensing copyright"),
    Subject("concurrency", "concurrency concurrent race races deadlock deadlocks threads threading"),
    Subject("translations", "translation translations i18n localization localisation"),
    Subject("privacy", "privacy gdpr personal"),
    Subject("databases", "database databases schema schemas migration migrations", "SQL"),
    Subject("Jenkins", "jenkins jenkinsfile", "Jenkinsfile"),
    Subject("GitLab CI", "gitlab"),
    Subject("Kubernetes", "kubernetes k8s helm"),
    Subject("Terraform", "terraform", "Terraform"),
    Subject("continuous integration", "ci pipeline pipelines workflow workflows actions", "zizmor workflows delivery"),
    Subject("releases", "release releases publish publishing deploy deployment delivery", "delivery zizmor"),
    Subject(
        "security",
        "security secure insecure vulnerability vulnerabilities attack attacker secret secrets",
        "zizmor hadolint",
    ),
    Subject("containers", "docker dockerfile dockerfiles container containers image images", "hadolint containers"),
    Subject("shell scripts", "shell bash script scripts", "shellcheck shell"),
    Subject("tests", "test tests testing tested untested", "tests"),
    Subject("documentation", "docs documentation document documents readme", "docs documents"),
    Subject("structure", "architecture structure design imports cycles coupling layers", "structure"),
    Subject("dependencies", "dependency dependencies requirements packages", "deptry dependencies"),
    Subject("complexity", "complexity complex tangled long readability maintainability", "lizard complexity hotspots"),
    Subject("spelling", "typo typos spelling wording", "typos words"),
    *(
        Subject(name, words, name)
        for name, words in (
            ("Python", "python"),
            ("JavaScript", "javascript js"),
            ("TypeScript", "typescript"),
            ("Go", "golang"),
            ("Rust", "rust"),
            ("Java", "java"),
            ("Kotlin", "kotlin"),
            ("C++", "c++ cpp"),
            ("C#", "c# dotnet"),
            ("Ruby", "ruby"),
            ("PHP", "php"),
            ("Swift", "swift"),
        )
    ),
)


def asked(values: Mapping[str, Any]) -> list[str]:
    """Returns sentences about a question and what tools say to it; none where there is no question, or no tool."""
    words = _words(values.get("question", ""))
    if not words or not values.get("coverage"):
        return []
    return list(_told(words, values, is_narrow=bool(_subjects(words) or _NAME.search(values["question"]))))


def first_about(findings: Sequence[Finding], question: str) -> list[Finding]:
    """Returns the findings, those first that hold and are about what a question names."""
    words = _words(question)
    return sorted(findings, key=lambda finding: not (_holds(finding) and _is_about(finding, words)))


def _holds(finding: Finding) -> bool:
    return finding["status"] != "missing" and finding.get("verdict") != REFUTED


def _told(words: frozenset[str], values: Mapping[str, Any], *, is_narrow: bool) -> Iterator[str]:
    findings = values["findings"]
    about = sum(_is_about(finding, words) for finding in findings)
    if about:
        of = f"{about} of {len(findings)} findings {'is' if about == 1 else 'are'}"
        yield f"{of} about what the question names, and {'comes' if about == 1 else 'come'} first."
    elif findings and is_narrow:
        yield "No finding is about what the question names."
    ran = _ran(values["coverage"])
    if uncovered := [subject.name for subject in _subjects(words) if not ran & set(subject.covered_by.split())]:
        yield f"Nothing that ran looks at {_joined(uncovered)}."


def _is_about(finding: Finding, words: frozenset[str]) -> bool:
    covering = {name for subject in _subjects(words) for name in subject.covered_by.split()}
    tool = str(finding.get("rule", "")).partition(":")[0]
    if {tool, finding["category"], *finding["found_by"]} & covering:
        return True
    texts = (finding["title"], finding.get("rule", ""), *(place["path"] for place in finding["evidence"]))
    return bool(words & _words(" ".join(texts)))


def _ran(coverage: Sequence[Mapping[str, Any]]) -> set[str]:
    """Returns the names of the tools that judged a file, and of the kinds of files that were judged."""
    ran: set[str] = set()
    for one in coverage:
        name, _, lens = str(one.get("tool", "")).partition(" ")
        if name == "lens" or one.get("judged"):
            ran |= {lens if name == "lens" else name, *one.get("judged", {})}
    return ran


def _subjects(words: frozenset[str]) -> list[Subject]:
    return [subject for subject in SUBJECTS if words & set(subject.words.split())]


def _words(text: str) -> frozenset[str]:
    """Returns the words of a text that say something."""
    found = {word for word in _WORD.findall(text.lower()) if len(word) >= MIN_WORD or word in ("ci", "c#", "js")}
    return frozenset(found.difference(_COMMON.split()))


def _joined(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
