"""Commands and options that judge a run: its findings, the threshold of `--fail-on`, and exit codes 5 and 6."""
