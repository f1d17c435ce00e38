"""E-mail over SMTP: several sessions at a time, each pipelined where the server offers it (RFC 5321, RFC 2920)."""

from treue_channels.smtp.channel import Smtp

__all__ = ["Smtp"]
