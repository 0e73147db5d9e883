"""Our own TFX components and strategies, each spec and executor in one file."""
