"""Games in plain Python: the loop over `Match` objects, coercion of their values, search."""
