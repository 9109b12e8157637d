"""Rubrics: what work is judged by, written before it begins and kept from those who do it."""
