"""The daemon as a whole: state, supervisor, adoption, fences, tombstones, agents."""
