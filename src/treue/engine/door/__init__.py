"""Who comes to a journey's door, who is let in, and who has to leave."""
