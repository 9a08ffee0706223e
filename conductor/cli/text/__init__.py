"""Words for people: states, names, failures, next commands. Pure text."""
