"""Searchers that propose architectures and learn from their scores, one file each, on a shared loop."""
