"""Tests of clients/django."""
