"""maskline: a TFX pipeline for masked sequence models, and what of it other programs can use."""
