"""Evaluator: measures models on held-out rows."""
