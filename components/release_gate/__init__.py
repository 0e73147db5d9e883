"""ReleaseGate: decides whether a model may be released."""
