"""A person plays against an agent in the terminal."""
