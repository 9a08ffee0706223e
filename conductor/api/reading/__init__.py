"""What callers read: runs, steps, output, reports, gates and comparisons."""
