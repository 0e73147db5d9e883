"""DataGate: decides whether data may be trained on."""
