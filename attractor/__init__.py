"""Attractor: the shared core of the supervisor, and the commands that people type."""

__version__ = "0.1.0"
