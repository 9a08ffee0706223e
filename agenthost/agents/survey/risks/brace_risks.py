"""Finds the few dangerous forms in JavaScript, TypeScript, Go, Java and C that a pattern can tell.

Each pattern demands that the danger shows in the line itself. Memory handling in C is left to tools that understand C.
"""

import re
from collections.abc import Iterator

from ...files import SCRIPTS, is_tooling, language
from ..finding import Finding, Severity, cite, shorten
from ..reading.blanking import blank_comments, blank_comments_and_strings
from ..reading.snapshot import SourceText
from ..sighting import Rule, Sighting, merge
from ..survey import Survey

SHELL = Rule(
    "shell-from-values",
    Severity.MEDIUM,
    "A shell command is built out of values in {path}",
    "{count} shell commands are built out of values",
    "A space, quote or `;` in a value changes the command.",
    "Start the program with a list of arguments and without a shell.",
)
EVALUATED = Rule(
    "evaluated-input",
    Severity.HIGH,
    "Text of the address or of a request is evaluated or rendered in {path}",
    "{count} places evaluate or render what the address or a request says",
    "The author of the link runs code in the reader's session.",
    "Parse the value, or set it as text.",
)
UNVERIFIED = Rule(
    "unverified-tls",
    Severity.MEDIUM,
    "The check of TLS certificates is switched off in {path}",
    "The check of TLS certificates is switched off in {count} places",
    "Anyone on the way can read and change this traffic.",
    "Keep the check on, and name a CA bundle where one is needed.",
)
UNBOUNDED = Rule(
    "unbounded-input",
    Severity.HIGH,
    "Input is read without a bound in {path}",
    "{count} places read input without a bound",
    "A longer input writes past the buffer.",
    "Use fgets, or a width in the format.",
)
_SOURCE = r"(?:location\.(?:hash|search|href)|document\.(?:URL|referrer)|\breq(?:uest)?\.(?:query|body|params)\b)"
# (languages, rule, pattern, whether strings must stay visible)
_PATTERNS: tuple[tuple[tuple[str, ...], Rule, re.Pattern[str], bool], ...] = (
    (
        SCRIPTS,
        SHELL,
        re.compile(r"\b(?:child_process|cp)\.exec(?:Sync)?\(\s*`[^`\n]*\$\{(?!JSON\.stringify)[^`\n]*`"),
        True,
    ),
    (SCRIPTS, EVALUATED, re.compile(rf"\beval\([^)\n]*{_SOURCE}"), False),
    (SCRIPTS, EVALUATED, re.compile(rf"\.(?:innerHTML|outerHTML)\s*\+?=[^;\n=]*{_SOURCE}"), False),
    (SCRIPTS, UNVERIFIED, re.compile(r"\brejectUnauthorized\s*:\s*false\b"), False),
    (
        ("Go",),
        SHELL,
        re.compile(
            r"exec\.Command(?:Context)?\((?:\w+,\s*)?\"(?:/bin/)?(?:ba)?sh\",\s*\"-c\",\s*(?:fmt\.Sprintf\(|\"[^\"\n]*\"\s*\+)"
        ),
        True,
    ),
    (("Go",), UNVERIFIED, re.compile(r"\bInsecureSkipVerify\s*[:=]+\s*true\b"), False),
    (("Java", "Kotlin"), SHELL, re.compile(r"\.getRuntime\(\)\s*\.exec\(\s*\"[^\"\n]*\"\s*\+"), True),
    (("Java", "Kotlin"), UNVERIFIED, re.compile(r"\bcheckServerTrusted\s*\([^)]*\)[^{;]{0,80}\{\s*\}"), False),
    (("C", "C++"), UNBOUNDED, re.compile(r"(?<![\w.>:])gets\s*\(\s*\w+\s*\)\s*[;)]"), False),
    (("C", "C++"), UNBOUNDED, re.compile(r"(?<![\w.>])scanf\s*\(\s*\"[^\"\n]*%s"), True),
)
JUDGED = tuple(sorted({name for names, *_ in _PATTERNS for name in names}))
_CHOSEN = re.compile(r"insecure|skip|verify|unsafe|self[-_ ]?signed|nolint|nosec", re.IGNORECASE)


def find_brace_risks(survey: Survey) -> list[Finding]:
    """Looks through the product code of these languages."""
    return merge("risks", _sightings(survey))


def _sightings(survey: Survey) -> Iterator[Sighting]:
    for source in survey.sources(survey.product, *JUDGED):
        if not is_tooling(source.path):
            yield from _scan(source)


def _scan(source: SourceText) -> Iterator[Sighting]:
    mine = language(source.path)
    for names, rule, pattern, needs_strings in _PATTERNS:
        # The raw text is asked first: blanking costs more, and hardly any file holds any of this.
        if mine not in names or not pattern.search(source.text):
            continue
        text = blank_comments(source.text) if needs_strings else blank_comments_and_strings(source.text)
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if rule is UNVERIFIED and _is_chosen(source, line):
                continue
            quoted = shorten(" ".join(source.text[match.start() : match.end()].split()), 80)
            yield Sighting(rule, cite(source.path, source.lines, line), f"here stands `{quoted}`")


def _is_chosen(source: SourceText, line: int) -> bool:
    """Returns whether the danger is the caller's own choice, as in `if (insecure)`."""
    here = source.lines[line - 1].replace("InsecureSkipVerify", "")
    return any(_CHOSEN.search(text) for text in [*source.lines[max(line - 5, 0) : line - 1], here])
