"""Shared by the doors: middleware, problems, permissions, rendering, and the short way to a route.

The only room besides `main`, `routers` and `admin` that knows FastAPI and Starlette. Imports the
use cases for their types, and what is below them.
"""

from app.left_out import leave_out

# FastAPI loads it for each type of a parameter, to refuse models of it; ours are none. Not only for
# now: it asks again where it makes JSON of an error.
leave_out("pydantic.v1")
