"""The rows as named tuples, a file a subject, and the tables that `tables` makes of them.

Alembic migrates to what stands here; `alembic check` holds the two together. Imports `core`.
"""
