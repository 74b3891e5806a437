"""One seed, one life: the service, its store, its database and its clients in virtual time.

`python -m tests.simulation --seeds 100` runs; docs/developing.md says how to read what it finds.
"""
