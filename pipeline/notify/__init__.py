"""Notifications: what is sent, by which way, and a queue on the disk until it was sent. No TensorFlow."""
