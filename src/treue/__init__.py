"""Treue: marketing journeys as files."""

__version__ = "0.1.0"
