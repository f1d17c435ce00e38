"""Everything Treue raises, as one tree. A message is a sentence that names the place and the remedy."""

from __future__ import annotations


class TreueError(Exception):
    """Something went wrong that a person can put right; the message says what and how."""


class UsageError(TreueError):
    """The call itself was wrong: an unknown name, a missing workspace, options that exclude each other."""


class WorkspaceError(TreueError):
    """The workspace's files have problems; `treue check` shows each with its place."""


class SettingsError(TreueError):
    """`treue.yaml` or the environment lacks something this command needs."""


class StoreError(TreueError):
    """The database is missing, too old, too new, or refuses."""


class PlanError(TreueError):
    """A stored plan cannot be read: a package that brings one of its words is gone, or another Treue has written it."""


class WordError(TreueError):
    """An installed word does what no word may: its package is to be corrected."""


class RejectedInput(TreueError):  # noqa: N818 - the domain's word
    """Data from outside (a webhook, an import, an API call) does not fit; nothing of it was kept."""


class BadSignature(RejectedInput):
    """A signature is missing, wrong, or too old."""


class MailboxError(TreueError):
    """A mailbox with bounces cannot be reached or read."""


class UnreadableFile(TreueError):  # noqa: N818
    """A file cannot be read; the text says why, as the end of a sentence."""


class RenderError(TreueError):
    """A template could not be rendered for one customer."""


class ChannelError(TreueError):
    """A channel adapter is unknown or wrongly configured."""
