"""Finds what lets faults through on the way from a commit to its users: the lens `delivery`."""

from collections.abc import Iterable, Iterator

from ...reading.yaml_tree import is_available
from ..finding import Finding, named
from ..survey import Survey
from .collection import find_uncollected
from .commands import Recipes
from .dead import find_dead
from .installs import find_unfrozen
from .pipelines import is_pipeline, other_systems, read_pipelines
from .publishing import find_untested_releases
from .references import find_missing_files, find_undefined
from .unfailing import find_lenient_settings, find_unfailing
from .unrun import find_unrun, find_untested_versions


def find_in_pipelines(survey: Survey) -> Iterable[Finding]:
    """Returns what the pipelines themselves show, and says which CI systems no rule covers."""
    survey.expect(filter(is_pipeline, survey.snapshot.paths))
    if not is_available():
        if any(map(is_pipeline, survey.snapshot.paths)):
            survey.miss("The workflows were not judged: the host has no PyYAML.")
        return []
    others = other_systems(survey.snapshot)
    for system, files in others.items():
        more = f" and {named(len(files) - 1, 'other file')}" if files[1:] else ""
        survey.miss(f"No rule covers {system}: {files[0]}{more}.")
    return _sightings(survey, alone=not others)


def _sightings(survey: Survey, *, alone: bool) -> Iterator[Finding]:
    recipes = Recipes(survey.snapshot)
    pipelines = read_pipelines(survey.snapshot)
    if not pipelines and alone:
        survey.say("There is no pipeline of a CI system here, so nothing was said of delivery.")
    for path in ("Makefile", "package.json"):
        if pipelines and survey.snapshot.has(path):
            survey.judge(path)
    for pipeline in pipelines:
        if survey.is_late():
            return
        survey.judge(pipeline.source.path)
        yield from find_undefined(pipeline)
        yield from find_missing_files(pipeline, survey.snapshot)
        yield from find_dead(pipeline)
        yield from find_untested_releases(pipeline, recipes)
        yield from find_unfrozen(pipeline, recipes, survey.snapshot)
    yield from find_unfailing(pipelines, recipes)
    lines = recipes.of_pipelines(pipelines)
    yield from find_lenient_settings(survey, lines)
    # What no pipeline runs can only be said where all of them are read.
    if pipelines and alone:
        yield from find_unrun(survey, recipes, lines)
        yield from find_untested_versions(survey, pipelines)
        yield from find_uncollected(survey, pipelines, recipes, lines)
