"""Verbs of those who keep it running."""
