"""DOT in, a checked graph out."""
