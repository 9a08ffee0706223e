"""Pure parsers of agents' output, by name. A new dialect is one file and one line in the table."""
