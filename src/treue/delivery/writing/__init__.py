"""Messages written for their channels: mails, calls, previews, proofs."""
