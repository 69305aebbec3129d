"""Searchers that descend by gradient: DARTS and its relatives, one file each, on a shared bilevel loop."""
