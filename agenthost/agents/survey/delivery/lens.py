"""Finds what lets faults through on the way from a commit to its users: the lens `delivery`."""

from collections.abc import Iterator

from ...reading.recipes import Recipes
from ...reading.yaml_tree import is_available
from ..finding import Finding, named
from ..survey import Survey
from .collection import find_uncollected
from .concurrency import find_shared_groups
from .globs import find_shallow_patterns
from .inputs import find_input_gaps
from .permissions import find_unused_permissions
from .pipelines import is_workflow, other_systems, read_actions, read_workflows
from .publishing import find_untested_releases, run_tests
from .references import find_missing_files, find_never_run, find_undefined


def find_in_pipelines(survey: Survey) -> Iterator[Finding]:
    """Yields what the workflows show, and says which CI systems no rule covers."""
    paths = list(filter(is_workflow, survey.snapshot.paths))
    survey.expect(paths)
    if paths and not is_available():
        survey.miss("The workflows were not judged: the host has no PyYAML.")
        return
    others = other_systems(survey.snapshot)
    for system, files in others.items():
        more = f" and {named(len(files) - 1, 'other file')}" if files[1:] else ""
        survey.miss(f"No rule covers {system}: {files[0]}{more}.")
    recipes, workflows = Recipes(survey.snapshot), read_workflows(survey.snapshot)
    if not workflows and not others:
        survey.say("There is no pipeline of a CI system here, so nothing was said of delivery.")
    for workflow in workflows:
        if survey.is_late():
            return
        survey.judge(workflow.source.path)
        yield from find_undefined(workflow)
        yield from find_never_run(workflow)
        yield from find_input_gaps(workflow)
        yield from find_missing_files(workflow, survey.snapshot)
        yield from find_shared_groups(workflow)
        yield from find_unused_permissions(workflow)
    yield from find_shallow_patterns(survey, workflows)
    for action in read_actions(survey.snapshot):
        yield from find_input_gaps(action)
    # What no pipeline runs can only be said where all of them are read.
    if workflows and not others:
        yield from find_uncollected(survey, workflows)
        for workflow in workflows if survey.tests and not run_tests(workflows, recipes) else ():
            yield from find_untested_releases(workflow, recipes)
