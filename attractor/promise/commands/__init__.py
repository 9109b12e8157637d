"""One file for each cs-* command: `run(arguments)` does the work and returns the exit status."""
