"""Journeys as Prefect flows. Importing this package imports neither Prefect nor APScheduler."""
