"""What ran and what was released: reading the record, and changing what is live."""
