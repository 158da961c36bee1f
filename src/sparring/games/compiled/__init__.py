"""Games of compiled rules: the driver over all slots, searches, and the Numba cache."""
