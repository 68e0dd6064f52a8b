"""Economies: what agents earn, what a planner takes of it, and what that does to welfare."""
