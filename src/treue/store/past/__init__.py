"""Old rows: what is deleted when, and what stays of it: keys, and sums by day."""
