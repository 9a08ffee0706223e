"""The forms of secrets, and the masks that take their places: hosts make them, and the conductor knows them again in quotes."""
