"""S3: presigned requests, and the calls that the service sends itself.

`signer` sends nothing; `objects` is about one object, `listing` about many, `client` says how an
endpoint is reached and what its errors mean. Looks and lists are requests that we sign ourselves:
`sending` sends them over `web`. `session` makes the clients of all other calls. Imports
`settings`, `core` and no database.

`web` and `session` are loaded late, in a thread, by the first look and the first other call: their
libraries, aiohttp and aioboto3, take a quarter of the time to the first answer, and 16 MiB. Nothing
else in this package may import them but inside a function, for types, or in `setup`.
"""
