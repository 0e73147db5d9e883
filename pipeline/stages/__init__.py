"""The pipeline's stages: each builds its nodes, in the order in which data flow through them."""
