"""What is damaged between runs, and what each command then does: a matrix. `make chaos` tries all of it."""
