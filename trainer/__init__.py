"""Layers, model, datasets, serving signatures and the entry point that fits and exports."""
