"""From the outbox to the providers, and what is heard of it later."""
