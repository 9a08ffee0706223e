"""One module for each family of commands. A command imports what it needs when it is called."""
