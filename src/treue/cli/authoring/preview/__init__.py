"""`treue preview`: one message as the customer gets it, on the terminal and as a page."""

from treue.cli.authoring.preview.command import register

__all__ = ["register"]
