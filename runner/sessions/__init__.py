"""The kinds of sessions: one file for each."""
