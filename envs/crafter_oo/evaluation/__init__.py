"""The OneLife suite: how well a model of Crafter predicts, scenario by scenario.

Source: OneLife (arXiv 2510.12088): scenarios, distractors, state ranking and state fidelity. New
here is the ceiling: exact log-probabilities of the true transition (see `exact`).
"""
