"""Finds addresses of services that were shut down, and badges of coverage in repositories where nothing measures it."""

import re
from collections.abc import Iterator

from ..files import is_test, is_vendored
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey
from .pages import Page, is_left_alone

# Services, and the year in which each was shut down by its owner.
_ENDED = {
    "oss.sonatype.org": 2025,
    "s01.oss.sonatype.org": 2025,
    "jcenter.bintray.com": 2024,
    "dl.bintray.com": 2021,
    "api.bintray.com": 2021,
    "bintray.com": 2021,
    "travis-ci.org": 2021,
    "www.travis-ci.org": 2021,
    "api.travis-ci.org": 2021,
    "secure.travis-ci.org": 2021,
    "david-dm.org": 2022,
    "gemnasium.com": 2018,
    "lgtm.com": 2022,
    "waffle.io": 2019,
    "badge.waffle.io": 2019,
    "greenkeeper.io": 2020,
    "badges.greenkeeper.io": 2020,
    "api.dependabot.com": 2021,
    "gratipay.com": 2017,
    "snap-ci.com": 2017,
    "app.wercker.com": 2022,
    "nodesecurity.io": 2018,
}
_ADDRESS = re.compile(
    rf"(?://|%2F%2F)({'|'.join(sorted(map(re.escape, _ENDED), key=len, reverse=True))})(?![\w.-]*\w\.|[\w-])",
    re.IGNORECASE,
)
_READ = re.compile(
    r"(?i)\.(md|markdown|rst|adoc|gradle|sbt)$|\.gradle\.kts$|(^|/)(readme[\w.-]*|pom\.xml|setup\.(py|cfg)|package\.json|pyproject\.toml"
    r"|Cargo\.toml|composer\.json)$"
)
MAX_COLUMNS = 4000
_COVERAGE_BADGE = re.compile(r"https?://(?:codecov\.io/|coveralls\.io/|img\.shields\.io/(?:codecov|coveralls)/)")
_MEASURES = re.compile(
    r"(?i)codecov|coveralls|coverage|lcov|tarpaulin|llvm-cov|\bnyc\b|\bc8\b|istanbul|jacoco|gcov|--cov|kcov|kover|simplecov|coverlet"
    r"|covermode|phpdbg|xdebug|\buses:\s*[\w.-]+/[\w.-]+/\.github/workflows/|\bcover\b"
)
_SETTINGS = re.compile(
    r"(?i)\.(ya?ml|toml|json|cfg|ini|mk|sh|bash|gradle|kts|xml|sbt|rb|cmake|ps1|props|csproj|exs)$|(^|/)[\w.-]*(makefile|justfile|rakefile"
    r"|gemfile|config|rc|noxfile|setup)(\.\w+)?$|(^|/)\.\w+rc$"
)
_LOCKS = re.compile(r"(?i)(^|/)[\w.-]*(lock|shrinkwrap)[\w.-]*$")
_WORKFLOW = re.compile(r"^\.github/workflows/[^/]+\.ya?ml$")
_OTHER_CI = re.compile(
    r"(?i)^(\.travis|\.circleci|\.gitlab-ci|azure-pipelines|\.azure|appveyor|\.appveyor|jenkinsfile|\.drone|\.buildkite|\.cirrus)"
)
MAX_FILES = 2000


def find_ended_services(survey: Survey, pages: list[Page]) -> Iterator[Finding]:  # noqa: ARG001 as the other parts
    """Yields each line of a document or a build file with the address of a service that is no more."""
    for path in filter(_READ.search, survey.snapshot.paths):
        left_alone = is_vendored(path) or is_test(path) or is_left_alone(path)
        source = None if left_alone else survey.snapshot.read(path)
        for number, text in enumerate(source.lines if source else (), 1):
            if source and (match := _ADDRESS.search(text[:MAX_COLUMNS])):
                host = match[1].lower()
                yield sighting("lens:ended-service", cite(source, number), f"`{host}` was shut down in {_ENDED[host]}")


def find_unmeasured_coverage(survey: Survey, pages: list[Page]) -> Iterator[Finding]:
    """Yields the badges of coverage where GitHub's workflows are all there is of CI, and no file measures coverage."""
    paths = survey.snapshot.paths
    shown = [
        (page, line)
        for page in pages
        if "/" not in page.path
        for line, image, _ in page.badges
        if _COVERAGE_BADGE.match(image)
    ]
    if not shown or not any(map(_WORKFLOW.match, paths)) or any(map(_OTHER_CI.match, paths)):
        return
    settings = [path for path in paths if _SETTINGS.search(path) and not (_LOCKS.search(path) or is_vendored(path))]
    sources = list(map(survey.snapshot.read, settings[:MAX_FILES]))
    if len(settings) > MAX_FILES or any(source and _MEASURES.search(source.text) for source in sources):
        return
    for page, line in shown:
        told = f"the badge of {page.path} shows a coverage that no workflow and no script measures"
        yield sighting("lens:unmeasured-coverage", cite(page.source, line), told)
