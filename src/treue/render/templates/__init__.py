"""Templates: their files, what is wrong with them, and what they come to for one customer."""
