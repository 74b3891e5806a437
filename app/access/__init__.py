"""Who asks, and what they may use: API keys, upload sessions, JSON Web Tokens, destinations.

Imports `runtime` and what is below.
"""
