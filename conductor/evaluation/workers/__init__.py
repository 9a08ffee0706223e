"""Worker processes and the service side of them: frames, fair queue, pool, limits."""
