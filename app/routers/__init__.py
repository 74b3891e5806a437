"""One file per door: its routes, with their request and response models beside them.

A route parses, names its permission in its signature, calls one use case and renders the answer.
Imports `http`, use cases and what is below; never another router.
"""
