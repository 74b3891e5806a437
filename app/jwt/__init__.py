"""JSON Web Tokens of an issuer, and the keys that it signs them with.

Imports `logs`, `settings`, `core`, and no database or bucket.
"""
