"""Runs on one machine."""
