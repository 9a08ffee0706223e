"""Evaluates texts of authors in worker processes: guards, prompts, findings, citations, folds and reports.

`tasks` and `kinds` run in workers: pure functions of a frame, without database, clock or files. `evaluator`, `questions` and
`gathering` are the service's side, and `workers` joins the two.
"""
