"""A pass over everybody who is due: its chronology, what may be tried, who runs it, what comes next."""
