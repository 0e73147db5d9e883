"""What people ask of their data: statistics, replay of quarantined rows, changes of the schema."""
