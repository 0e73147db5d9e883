"""The commands, one file per group. What a command needs is imported inside it, so that help is quick."""
