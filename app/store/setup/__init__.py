"""How a bucket is set up: read and written, compared with what the destinations need.

Imports `store`, `settings` and `core`.
"""
