"""Commands about the hosts that a conductor drives, and about their agents."""
