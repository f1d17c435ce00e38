"""A journey as a frozen graph of stages: built from its file, hashed, stored, explained and run."""
