"""A simulated month of scheduled retraining: real runs, real processes, and a clock that the test moves."""
