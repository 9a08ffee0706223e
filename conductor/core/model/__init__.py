"""Values of the core: plans, events, inputs, commands, and the state that events fold into. They decide nothing."""
