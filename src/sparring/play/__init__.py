"""A person plays against an agent: the sitting, the people that may sit opposite, the words that
are typed, the terminal.
"""
