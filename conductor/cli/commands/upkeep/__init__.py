"""Commands for data: backup, deletion."""
