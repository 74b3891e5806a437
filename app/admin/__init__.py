"""What needs starlette-admin (extra `admin`). Nothing outside depends on it.

`upload_field` is for anybody's starlette-admin; all else is the panel at /admin.
"""
