"""The language of the data: names, ids, shapes, and the pure functions that join and pad."""
