"""S3: presigned requests, and the calls that the service sends itself.

`signer` sends nothing; `objects` is about one object, `listing` about many, `client` says how an
endpoint is reached and what its errors mean, `session` what clients are made of. Imports
`settings`, `core` and no database.
"""

from app.left_out import left_out

# httpx is another of its HTTP clients, which brings click, rich and pygments with it.
with left_out("httpx"):
    import aiobotocore.session  # noqa: F401
