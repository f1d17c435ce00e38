"""`treue simulate`: the past once more, through the journeys as the files have them now."""

from treue.cli.authoring.simulate.command import register

__all__ = ["register"]
