"""The services of `agenthost.v1`: they check shapes, ask the right part, and answer. They decide nothing and own nothing."""
