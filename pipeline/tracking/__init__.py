"""Copies what runs measured and released to a tracking server. No TFX, no TensorFlow."""
