"""Helpers of several folders: servers, steps, samples. No test stands here.

It imports `app` and its own modules; `bench` imports `stores`, so nothing is loaded with this.
"""
