"""Tells back ends what has become of files and records: the feed that they read.

Events are written by the moves themselves (`app.db.tell`); here they are put in order, shown,
waited for and purged. Imports `records`, `files` and what is below.
"""
