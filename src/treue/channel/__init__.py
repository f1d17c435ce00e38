"""The port a channel adapter implements: what goes out, what became of it, what the provider tells later."""

from treue.channel.callbacks import BadCallback, Callback, DeliveryEvent, Receiver
from treue.channel.messages import Attachment, Mail, Mailbox, Outgoing
from treue.channel.outcomes import TAKEN_OVER, Accepted, Receipt, Refused, Retry, Unknown
from treue.channel.port import (
    Capabilities,
    Channel,
    Keeper,
    Kind,
    Progress,
    Service,
)
from treue.channel.registry import (
    channel_factory,
    installed_adapters,
    own_adapters,
    served_kinds,
    service_factory,
)
from treue.model.states import DeliveryEventKind

__all__ = [
    "TAKEN_OVER",
    "Accepted",
    "Attachment",
    "BadCallback",
    "Callback",
    "Capabilities",
    "Channel",
    "DeliveryEvent",
    "DeliveryEventKind",
    "Keeper",
    "Kind",
    "Mail",
    "Mailbox",
    "Outgoing",
    "Progress",
    "Receipt",
    "Receiver",
    "Refused",
    "Retry",
    "Service",
    "Unknown",
    "channel_factory",
    "installed_adapters",
    "own_adapters",
    "served_kinds",
    "service_factory",
]
