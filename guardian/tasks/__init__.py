"""The Guardian's long work, each kind one module, each run in a process of its own.

A task is told by a JSON object and answers by one. It may be killed at any moment and is started
again with the same words: what it does, it may do twice.
"""
