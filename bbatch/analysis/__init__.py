"""A question a module, each answered once, from the frame of runs."""
