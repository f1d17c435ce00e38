"""Whether a message may go now: limits, quiet hours, and messages that are held."""
