"""What there is: the words for states and reasons, and the tables."""
