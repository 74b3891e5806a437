"""A process: the connections it holds, work in the background, rate limits, how it is set up.

Imports `store`, `jwt`, `db` and what is below.
"""
