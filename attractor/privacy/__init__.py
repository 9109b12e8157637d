"""Finds secrets and private data in text, without a model and without the network."""
