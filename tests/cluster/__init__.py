"""The pipeline on a real cluster: `make cluster-test`. README.md says what it needs; CI does not run it."""
