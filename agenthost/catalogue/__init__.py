"""The agents of this machine, as its operator sees them: listed, installed, checked, removed."""
