"""What would be: the next hours, a past lived again, counted and compared; nothing is kept or sent."""
