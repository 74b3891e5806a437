"""Authenticate callers and check their destinations: API keys, upload sessions, JWTs.

Imports `runtime` and what is below.
"""
