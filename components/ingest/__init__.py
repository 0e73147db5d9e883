"""ExampleGen: finds spans, reads shards, checks every row."""
