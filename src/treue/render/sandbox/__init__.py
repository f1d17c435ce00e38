"""Where templates run: what they may do, how much of it, and the process for what may take long."""
