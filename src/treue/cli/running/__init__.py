"""Verbs that run journeys and answer the web."""
