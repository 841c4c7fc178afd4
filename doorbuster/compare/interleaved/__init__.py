"""Compares two builds by short rehearsals that alternate between them, until the question is decided.

targets       what stands behind --a and --b: a URL, a profile of the embedded shop, a command
session       pairs of rehearsals in random order, and the comparison after each pair
noise_floor   what difference a set-up can see, from pairs of the same target
"""
