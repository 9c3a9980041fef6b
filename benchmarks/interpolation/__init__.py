"""Blends of the evaluation as a table for the repository."""
