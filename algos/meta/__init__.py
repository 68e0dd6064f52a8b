"""Objectives that are learnt: evolution over phi, with whole trainings as fitness."""
