"""What worker processes do: guards, prompts, findings, citations, folds and reports, as pure functions of what they are sent.

`worker` is the program; `workers` is the service's side of it. Nothing here reads a database, a clock or a file of the user's.
"""
