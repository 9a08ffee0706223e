"""Orders findings, caps them, and words the summary. It finds nothing itself."""

import re
from collections.abc import Iterable, Sequence

from .finding import Finding, named

MAX_FINDINGS_PER_LENS = 200


def words(texts: Iterable[str]) -> frozenset[str]:
    """Returns the words of names and sentences, in lower case."""
    return frozenset(word for text in texts for word in re.findall(r"[a-z][a-z0-9]{2,}", text.lower()))


# Words that a question holds anyway: they say nothing about which part of the code is meant.
_COMMON = words(
    [
        "the and for are how what why where when who which that this with from does into our there their them have has was",
        "were will can could should would about any all not but you your its code file files repository project find show",
        "tell module modules python use used make made good bad most test tests src lib",
    ]
)


def relevance(finding: Finding, question_words: frozenset[str]) -> int:
    """Counts the words of the question that stand in the title or the paths of a finding."""
    mine = words([finding.title, *(item.path for item in finding.evidence)])
    return len(mine & (question_words - _COMMON))


def rank(findings: Iterable[Finding], question_words: frozenset[str] = frozenset()) -> list[Finding]:
    """Orders by severity, then by what the question names, then by weight; the rest of the key makes it total."""
    return sorted(
        findings,
        key=lambda item: (
            -item.severity.rank,
            -relevance(item, question_words),
            -item.weight,
            item.title,
            item.evidence[0].path if item.evidence else "",
        ),
    )


def choose(findings: Iterable[Finding], question_words: frozenset[str]) -> tuple[list[Finding], int]:
    """Keeps the first of each, ranked, as many as a lens may give; and tells how many were left out."""
    ranked = rank((item for item in dict.fromkeys(findings) if item.evidence), question_words)
    return ranked[:MAX_FINDINGS_PER_LENS], max(len(ranked) - MAX_FINDINGS_PER_LENS, 0)


def summary(lens: str, findings: Sequence[Finding], left_out: int) -> str:
    """Words the findings of a lens as Markdown for a reader in a hurry."""
    if not findings:
        return f"### {lens.capitalize()}\n\nIts checks ran, and none matched.\n\n"
    lines = [f"### {lens.capitalize()}: {named(len(findings), 'finding')}", ""]
    for finding in findings:
        place = finding.evidence[0]
        lines += [
            f"- **{finding.severity.value}** · {finding.title} (`{place.path}:{place.start_line}`)",
            f"  {finding.claim}",
        ]
    if left_out:
        lines += ["", f"{named(left_out, 'lesser finding')} left out."]
    return "\n".join([*lines, "", ""])
