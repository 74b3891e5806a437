"""PostgreSQL and S3 on this machine, for development and tests: both vanish when they end.

`postgres` runs the server of a wheel. `s3` runs moto behind a gate (`gate*.py`) that verifies
signatures, policies and checksums as S3 does, with botocore and never with the service's signer.

It imports nothing of the service, so that tests of the service can rely on it.
"""
