"""Drafting a driver from a HAR recording of one visit."""
