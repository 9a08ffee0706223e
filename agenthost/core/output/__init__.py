"""What an agent says: from spooled bytes over a dialect to numbered frames."""
