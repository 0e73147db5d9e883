"""The commands, a file a group. What a command needs is imported inside it, so that help is quick."""
