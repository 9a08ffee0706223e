"""The agent `facts`: counts and lists what is in a snapshot, by rules alone, and judges nothing but what addresses agents.

    program ─▶ scans (one module each) ─▶ subject ─▶ the survey's readers

Its prompt is a JSON object that the conductor writes: the run's scope, the changed files with their ranges, and the guidelines that
changed, as the base has them. The same snapshot and the same prompt give the same facts.
"""
