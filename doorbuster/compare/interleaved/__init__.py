"""Compares two builds by short rehearsals that alternate between them, until the question is decided.

targets       the targets that --a and --b name: a URL, a profile of the embedded shop, a command
session       pairs of rehearsals in random order, and the comparison after each pair
noise_floor   the smallest difference that a set-up detects, from pairs of the same target
"""
