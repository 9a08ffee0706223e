"""The part of a run's report that a terminal shows at the end of a run. Pure text."""

# The built-in report goes from what was found to how. The verdict refers to this section, which parts the two.
NOT_CHECKED = "\n## What was not checked\n"
SHOWN_NOTES = 10


def brief(markdown: str) -> str:
    """Returns a report up to what ran and how, with a limited number of remarks; a report of another form whole."""
    # The last one: a quoted file may hold this line, and all of those come before.
    found, heading, how = markdown.rpartition(NOT_CHECKED)
    if not heading:
        return markdown
    notes = how.partition("\n## ")[0].strip().split("\n")
    if len(notes) > SHOWN_NOTES:
        notes = [*notes[:SHOWN_NOTES], f"- … and {len(notes) - SHOWN_NOTES} more"]
    return "\n".join([found, heading, *notes, ""])
