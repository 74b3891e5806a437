"""Rules and arithmetic of the service, pure: no I/O, no clock, no randomness.

Signatures, object keys and URLs, destinations and their rules, parts, sniffed types, bucket
configuration, policies and who may do what. Everything variable is an argument (`now`, random
bytes), so that equal arguments give equal results.

It imports pydantic, text libraries and itself: no I/O library, and nothing else of `app`.
"""
