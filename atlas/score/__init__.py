"""Planted worlds, and how far what the stages claim of them is true: the score card."""
