"""Model endpoints: settings, the gateway process, and the daemon's link to it."""
