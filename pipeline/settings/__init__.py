"""The settings of a run: what they are, where they are read from, and how a wrong one is refused."""
