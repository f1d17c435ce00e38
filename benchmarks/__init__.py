"""Benchmarks: what a pass, a delivery and a segment cost, as ratios in one run."""
