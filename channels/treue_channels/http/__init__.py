"""What adapters that speak HTTP share: requests, what answers mean, callbacks, and the open internet."""
