"""Campaigns and what was known before."""
