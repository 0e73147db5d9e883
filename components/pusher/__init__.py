"""Pusher: publishes a model, and keeps the directory of versions and the audit log."""
