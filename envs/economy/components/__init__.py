"""What an economy is made of: a scenario is an ordered tuple of components."""
