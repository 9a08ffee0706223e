"""Shows a run as it goes: live lines, plain lines, JSON."""
