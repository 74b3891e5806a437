"""Confirmed files: look them up, list them, and sign links that read them.

Imports `access` and what is below; no HTTP.
"""
