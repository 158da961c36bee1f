"""Games in plain Python: the loop over `Match` objects, coercion of what they return, search."""
