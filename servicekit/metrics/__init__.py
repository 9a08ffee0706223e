"""Metrics for Prometheus, as both services serve them. Imported only where `--metrics` asks for them."""
