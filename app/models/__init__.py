"""The tables, a file a subject, and their rows as named tuples.

Alembic migrates to what stands here; `alembic check` holds the two together. Imports `core`.
"""
