"""Log lines, the audit trail, metrics, and the redaction of secrets from all of them.

Imports `models`, for the audit trail speaks of files, and `core`.
"""
