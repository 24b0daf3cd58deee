"""Exact co-occurrence counts: which pairs of features fire on the same token, and how often.

Nothing is imported here, so that the GPU backend needs numpy and CuPy alone.
"""
