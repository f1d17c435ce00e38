"""The built-in inbox: a place on this machine where e-mail, SMS and push messages arrive and can be looked at.

Importing it is cheap; the SMTP server and the pages load what they need when they are used.
"""

from treue_channels.inbox.box import InboxMessage, InboxStore
from treue_channels.inbox.channel import InboxChannel
from treue_channels.inbox.service import Inbox

__all__ = ["Inbox", "InboxChannel", "InboxMessage", "InboxStore"]
