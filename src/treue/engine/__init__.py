"""What becomes of customers: passes, the door, steps at work, pressure, versions, and what if."""
