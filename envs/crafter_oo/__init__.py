"""Crafter-OO: Crafter, exact, object-oriented and fast."""
