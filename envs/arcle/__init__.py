"""ARCLE: the ARC learning environment."""
