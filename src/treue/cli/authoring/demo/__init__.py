"""`treue demo`: the main job on real customers, in a temporary workspace."""

from treue.cli.authoring.demo.command import register

__all__ = ["register"]
