"""Says how strictly git checks the objects of a pack that came from elsewhere: the option `--strict` of `git index-pack`."""

# Faults of old commits and trees that public histories have and that do no harm: nothing here executes them, and
# the paths of a snapshot's tree are judged on their own (see `snapshot_rules`).
_TOLERATED = """
    badDate badDateOverflow badEmail badFilemode badName badTimezone duplicateEntries emptyName fullPathname
    gitmodulesBlob gitmodulesLarge gitmodulesMissing gitmodulesName gitmodulesParse gitmodulesPath gitmodulesSymlink
    gitmodulesUpdate gitmodulesUrl hasDot hasDotdot hasDotgit missingAuthor missingCommitter missingEmail
    missingNameBeforeEmail missingSpaceBeforeDate missingSpaceBeforeEmail missingTaggerEntry multipleAuthors
    nulInCommit nullSha1 treeNotSorted zeroPaddedDate zeroPaddedFilemode
"""
STRICT = "--strict=" + ",".join(f"{name.lower()}=ignore" for name in _TOLERATED.split())
