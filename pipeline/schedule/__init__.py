"""Scheduled retraining on one machine: when to look, what is due, and what became of it. No TensorFlow."""
