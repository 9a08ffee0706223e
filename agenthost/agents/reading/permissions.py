"""Knows which jobs of workflows surely use no permission to write: by their actions, and by the words of their scripts."""

import re

from .workflows import Job, Workflow
from .yaml_tree import child, last_line

READERS = re.compile(
    r"(?:actions/(?:checkout|cache|setup-[a-z]+|(?:up|down)load-artifact)|pnpm/action-setup|Swatinem/rust-cache|oven-sh/setup-bun"
    r"|dtolnay/rust-toolchain|astral-sh/setup-uv|docker/setup-[a-z]+-action|gradle/actions/setup-gradle|ruby/setup-ruby"
    r"|denoland/setup-deno|shivammathur/setup-php|taiki-e/install-action|extractions/setup-just|step-security/harden-runner)@.*"
)
# A token of OpenID is asked for in another way.
USING = re.compile(r"token|\bsecrets\.|\bgit push\b|\bgh\s", re.IGNORECASE)
# A script, a target of make or a program of a package may push, too.
_MAY_USE = re.compile(r"release|publish|deploy|push|changeset|commit|upload|\bgit\s+tag\b", re.IGNORECASE)
_HARMLESS = re.compile(r"(?:actions/)?upload-artifact|--release\b|commit[-_]?lint|\bgithub\.event\w*|target/release")


def uses_nothing(workflow: Workflow, job: Job) -> bool:
    """Returns whether a job surely uses no permission of its workflow, for it has its own, or only reads and builds."""
    if child(job.node, "permissions") is not None:
        return True
    actions = [step.uses for step in job.steps if step.uses]
    if job.uses or not job.steps or not all(map(READERS.fullmatch, actions)):
        return False
    said = "\n".join([job.name, *workflow.source.lines[job.line - 1 : last_line(job.node)]])
    return not USING.search(said) and not _MAY_USE.search(_HARMLESS.sub("", said))
