"""Finds what lets faults through on the way from a commit to its users: the lens `delivery`."""

from collections.abc import Iterator

from ..finding import Finding, named
from ..lens import Detector
from ..sighting import Sighting, merge
from ..survey import Survey
from .commands import Recipes
from .installs import find_unfrozen
from .pipelines import is_pipeline, other_systems, read_pipelines
from .publishing import find_untested_releases
from .references import find_undefined
from .yaml_tree import is_available


def find_in_pipelines(survey: Survey) -> list[Finding]:
    """Returns what the pipelines themselves show, and says which CI systems no rule covers."""
    survey.coverage.expect(filter(is_pipeline, survey.snapshot.paths))
    if not is_available():
        if any(map(is_pipeline, survey.snapshot.paths)):
            survey.miss("The workflows were not judged: the host has no PyYAML.")
        return []
    for system, files in other_systems(survey.snapshot).items():
        others = f" and {named(len(files) - 1, 'other file')}" if files[1:] else ""
        survey.miss(f"No rule covers {system}: {files[0]}{others}.")
    return merge("delivery", _sightings(survey))


def _sightings(survey: Survey) -> Iterator[Sighting]:
    recipes = Recipes(survey.snapshot)
    for pipeline in read_pipelines(survey.snapshot):
        survey.coverage.judge(pipeline.source.path)
        yield from find_undefined(pipeline)
        yield from find_untested_releases(pipeline, recipes)
        yield from find_unfrozen(pipeline, recipes, survey.snapshot)


DETECTORS = (Detector("the workflows, for jobs and releases that let faults through", find_in_pipelines),)
