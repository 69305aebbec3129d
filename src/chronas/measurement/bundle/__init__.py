"""Measuring on a machine without chronas: a folder that times networks there, and reading back what it measured."""
