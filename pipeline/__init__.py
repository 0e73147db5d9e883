"""Configuration, the DAG, its runners, the command line, and what people look at."""
