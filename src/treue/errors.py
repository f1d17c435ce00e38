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


class RejectedInput(TreueError):  # noqa: N818 - the domain's word
    """Data from outside (a webhook, an import, an API call) does not fit; nothing of it was kept."""


class BadSignature(RejectedInput):
    """A signature is missing, wrong, or too old."""


class MailboxError(TreueError):
    """A mailbox with bounces cannot be reached or read."""


class RenderError(TreueError):
    """A template could not be rendered for one customer."""


class ChannelError(TreueError):
    """A channel adapter is unknown or wrongly configured."""
