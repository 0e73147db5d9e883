"""Asks released models: for a text, for standard input, and for whole files in Beam."""
