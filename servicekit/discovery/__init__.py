"""Hosts that announce themselves on the local network by multicast DNS, and how they are found.

The library zeroconf is an extra: only `publishing` and `browsing` import it, and only where they are asked for.
"""
