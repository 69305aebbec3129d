"""Gradient-based searchers: DARTS and its relatives, one file each, on a shared bilevel loop."""
