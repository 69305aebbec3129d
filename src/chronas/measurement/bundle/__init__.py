"""Bundles: folders that time networks on a machine without chronas, and reading their results."""
