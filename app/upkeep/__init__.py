"""The sweep and the comparison of buckets with the database.

They finish what a client, a browser or a process left unfinished. Imports the use cases of uploads,
and what is below them.
"""
