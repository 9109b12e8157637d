"""Asking an agent for a judgement: a question in, an answer with a checked object out.

Each agent program is one file, found by its name through the entry points `attractor.agents`. The
asking happens in a process of its own (`python -I -m attractor.agents QUESTION.json ANSWER.json`),
so that no loop waits for a model and no loop imports what an agent needs.
"""
