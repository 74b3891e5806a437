"""Shared by the doors: middleware, problems, permissions, rendering, and the short way to a route.

The only room besides `main`, `routers` and `admin` that knows FastAPI and Starlette. Imports the
use cases for their types, and what is below them.
"""
