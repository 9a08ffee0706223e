"""Finds what manifests of Python and JavaScript say that is not so: detectors of the survey's lens `delivery`.

    python: floors, targets, tools ─┐
    npm: lockfiles, entries         ├─▶ survey: findings, judged by the table of the flow
    ci: which versions are run ─────┘

They read manifests as data, and say nothing where a build, a plugin or a computed value may make it right.
"""
