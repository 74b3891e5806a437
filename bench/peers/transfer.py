"""Upload a file by boto3's TransferManager; prints the seconds that it took.

`python -m bench.peers.transfer ENDPOINT FILE PARALLEL PART_SIZE`, keys and bucket from the
environment.
"""

from __future__ import annotations

import json
import os
import sys
import time

from boto3.s3.transfer import TransferConfig

from tests.support.stores import s3_client


def main() -> None:
    endpoint, path, parallel, part_size = sys.argv[1:]
    keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    s3 = s3_client(endpoint, *keys, max_pool_connections=int(parallel))
    config = TransferConfig(
        multipart_threshold=int(part_size),
        multipart_chunksize=int(part_size),
        max_concurrency=int(parallel),
    )
    start = time.perf_counter()
    s3.upload_file(path, os.environ["AWS_STORAGE_BUCKET_NAME"], "by-boto3", Config=config)
    print(json.dumps({"seconds": time.perf_counter() - start}))  # noqa: T201


if __name__ == "__main__":
    main()
