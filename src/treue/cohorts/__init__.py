"""Sets of customers who stand at one stage, and what may be done to them as SQL."""
