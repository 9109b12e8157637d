"""Completion promises: what a session said it would do, and whether that was shown."""
