"""Verbs with which journeys are written and tried out."""
