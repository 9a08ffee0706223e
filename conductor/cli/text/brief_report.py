"""The part of a run's report that a terminal shows at the end of a run. Pure text."""

# Where the built-in report goes from what was found to how, and the section behind it that the verdict refers to.
DETAILS = "\n## What ran\n"
LEFT_OUT = "\n## What was left out or not judged\n"
SHOWN_NOTES = 10


def brief(markdown: str) -> str:
    """Returns a report up to what ran and how, and of that what was left out; a report of another form whole."""
    # The last one: a quoted file may hold this line, and all of those come before.
    found, heading, how = markdown.rpartition(DETAILS)
    if not heading:
        return markdown
    _, left_out, behind = how.partition(LEFT_OUT)
    notes = behind.partition("\n## ")[0].strip().split("\n")
    if not left_out:
        return found
    if len(notes) > SHOWN_NOTES:
        notes = [*notes[:SHOWN_NOTES], f"- … and {len(notes) - SHOWN_NOTES} more"]
    return "\n".join([found, left_out, *notes, ""])
