"""Measurements, a module for each subject."""
