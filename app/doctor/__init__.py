"""The doctor: proves by doing that every destination works and keeps what the settings claim.

`examine` looks at the settings, the credentials, the database and every bucket. In each destination
it makes objects of its own, signed by the service's signer and sent as a browser sends them, and
deletes them afterwards. `claimcheck doctor` prints its report; `GET /v1/capabilities` answers with
it, from a cache. Each finding says what was checked, what the result means and how to mend it.

It may import the store (signer, objects, bucket set-up), the database, settings and core, and no
use case: it examines what these rest on, and knows no files.
"""
