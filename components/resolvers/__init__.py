"""Resolver strategies: what earlier runs left in the metadata store that this run goes on from."""
