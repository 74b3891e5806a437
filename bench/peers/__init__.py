"""Peers of the service. Each answers the same request as well as it can."""
