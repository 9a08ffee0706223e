"""Finds builds of Gradle that ask for two versions at once, modules that no build has, and entries of a catalogue without use."""

import re
from collections.abc import Iterator

from ..files import is_example, is_test, is_vendored
from ..reading.snapshot import SourceText
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey
from .python import read_table, table

STRICT = "lens:two-versions"
LEFT_OUT = "lens:module-left-out"
ALIAS = "lens:unused-alias"
CATALOGUE = "gradle/libs.versions.toml"
_STRICT = re.compile(
    r"[\"'][\w.-]+:[\w.-]+:(?P<told>\d[\w.-]*)[\"']\s*\)?\s*\{[^{}]*\bversion\s*\{\s*strictly[\s(]*[\"'](?P<strict>\d[\w.-]*)[\"']"
)
_INCLUDED = re.compile(r"[\"']:?(?P<name>[\w.-]+)[\"':]")
# Which modules there are is computed, or told in another file.
_COMPUTED = re.compile(
    r"(?i)includeBuild|listFiles|fileTree|eachDir|eachFile|walk|forEach|\.each\b|\bfor\s*\(|\bif\s*\(|apply\s*\(?\s*from|"
    r"\binclude[\s(]+[^\s\"'(:]"
)
_LEAST = 2  # modules with the same first word that a build includes
_SHARED = re.compile(
    r"version-catalog|versionCatalog\b|find(?:Library|Version|Plugin|Bundle)\(\s*[^\"'\s]|libraryAliases"
)


def find_in_gradle(survey: Survey) -> Iterator[Finding]:
    """Yields what the builds of a snapshot say that contradicts itself or counts for nothing."""
    paths = [path for path in survey.snapshot.paths if path.endswith((".gradle", ".gradle.kts"))]
    paths = [path for path in paths if not (is_test(path) or is_example(path) or is_vendored(path))]
    for source in filter(None, map(survey.snapshot.read, paths)):
        for match in _STRICT.finditer(source.text):
            if match["told"] != match["strict"]:
                start, end = (source.text.count("\n", 0, at) + 1 for at in match.span())
                title = f"{match['told']} is named, and strictly {match['strict']} is taken"
                yield sighting(STRICT, cite(source, start, end), title)
        if source.path in {"settings.gradle", "settings.gradle.kts"} and not _COMPUTED.search(source.text):
            yield from _left_out(survey, source, paths)
    if catalogue := survey.snapshot.read(CATALOGUE):
        yield from _unused(survey, catalogue)


def _left_out(survey: Survey, settings: SourceText, paths: list[str]) -> Iterator[Finding]:
    """Yields each module beside others of the same first word that no build includes."""
    text = re.sub(r"(?m)//.*$|/\*[\s\S]*?\*/", "", settings.text)
    included = {match["name"] for match in _INCLUDED.finditer(text)}
    flows = [survey.snapshot.read(path) for path in survey.snapshot.paths if path.startswith(".github/workflows/")]
    for path in paths:
        folder, _, name = path.rpartition("/")
        siblings = sum(one.startswith(folder.partition("-")[0] + "-") for one in included)
        is_module = name.startswith("build.gradle") and "-" in folder and "/" not in folder
        if not is_module or folder in included or siblings < _LEAST or not survey.snapshot.has(f"{folder}/src"):
            continue
        is_own = any(survey.snapshot.has(f"{folder}/{one}") for one in ("settings.gradle", "settings.gradle.kts"))
        is_named = re.search(rf"{re.escape(folder)}(?![\w-])", settings.text)
        is_run = any(re.search(rf"{re.escape(folder)}(?![\w-])", flow.text) for flow in flows if flow)
        source = survey.snapshot.read(path)
        if source and not (is_own or is_named or is_run):
            yield sighting(LEFT_OUT, cite(source, 1, 3), f"{settings.path} does not include `{folder}`")


def _unused(survey: Survey, catalogue: SourceText) -> Iterator[Finding]:
    """Yields each alias of the catalogue that no build names."""
    told = read_table(catalogue)
    builds = re.compile(r"\.(gradle|kts|groovy|kt|java)$|(^|/)(renovate\.json5?|[^/]+\.ya?ml|settings\.xml)$")
    sources = (survey.snapshot.read(path) for path in survey.snapshot.paths if builds.search(path))
    text = "\n".join(source.text for source in sources if source)
    if not told or _SHARED.search(text):
        return
    bundled = str(told.get("bundles"))
    for kind in ("libraries", "plugins"):
        for alias in table(told, kind):
            accessor = re.sub(r"[-_.]", "[-_.]?", alias)
            heading = next((at for at, line in enumerate(catalogue.lines) if line.strip() == f"[{kind}]"), 0)
            number = next((at for at in _after(catalogue, heading) if _begins(catalogue.lines[at - 1], alias)), 0)
            if number and f"'{alias}'" not in bundled and not re.search(rf"(?i)\b{accessor}\b", text):
                yield sighting(ALIAS, cite(catalogue, number), f"no build names `{alias}`")


def _after(source: SourceText, line: int) -> range:
    return range(line + 1, len(source.lines) + 1)


def _begins(line: str, alias: str) -> bool:
    return re.match(rf"\s*[\"']?{re.escape(alias)}[\"']?\s*[.=]", line) is not None
