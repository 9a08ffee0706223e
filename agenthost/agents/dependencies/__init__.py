"""Runs deptry over each Python project of the snapshot, and keeps what is certain of what it says.

    declarations: what each project declares ─▶ deptry: what nothing imports ─▶ certainty: is it used in another way?

Deptry reads its settings and the declarations from one file of the project. Here it gets neither: we read the declarations as data,
and it gets a list of names. The names of distributions and of modules differ, so most of what deptry says is a guess: only a
distribution whose modules are known is told, and only where its name stands nowhere else.
"""
