"""What needs starlette-admin (extra `admin`). Nothing outside depends on it."""
