"""ModelChecks: questions the exported model in a process of its own."""
