"""The people at the admin panel: their accounts and sessions, and the search for them.

Imports `records`, `files` and what is below; nothing but the panel and `claimcheck admin` imports
it.
"""
