"""Between protocol messages and the values of the core: pure functions, both ways. Nothing here decides, stores or sends."""
