"""S3: presigned requests, and the calls that the service sends itself.

`signer` sends nothing; `objects` is about one object, `listing` about many, `client` says how an
endpoint is reached and what its errors mean. Imports `settings`, `core` and no database.
"""
