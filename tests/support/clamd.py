"""A real clamd of Debian's, with a signature file of our own alone, and what it is to find."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.scans.clamd import Clamd
from app.scans.proof import MARK

# Small, so that proving it takes no time.
LIMIT = 1024 * 1024
INFECTED = MARK
NAME = "Claimcheck.Mark.UNOFFICIAL"


def limits(limit: int = LIMIT, *, alert: bool = True) -> str:
    """Lines of clamd.conf: files of at most `limit` bytes; whether it tells of what is beyond."""
    return (
        f"StreamMaxLength {2 * limit}\nMaxFileSize {limit}\nMaxScanSize {3 * limit}\n"
        f"AlertExceedsMax {'yes' if alert else 'no'}\n"
    )


@contextmanager
def start_clamd(folder: Path, configuration: str) -> Iterator[Clamd]:
    """Run it with this configuration, on a socket in the folder, until the end."""
    program = shutil.which("clamd")
    assert program, "clamd is missing: apt-get install clamav-daemon"
    signatures, socket, log = folder / "signatures", folder / "clamd.socket", folder / "clamd.log"
    signatures.mkdir()
    # At the start of a file of any type (ClamAV, "Body-based Signature Content Format").
    (signatures / "mark.ndb").write_text(f"Claimcheck.Mark:0:0:{MARK.hex()}\n")
    (folder / "clamd.conf").write_text(
        f"DatabaseDirectory {signatures}\nLocalSocket {socket}\nTemporaryDirectory {folder}\n"
        f"Foreground yes\n{configuration}"
    )
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "--config-file", folder / "clamd.conf"], stdout=output, stderr=output
        )
    try:
        for _ in range(1200):
            if socket.exists():
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield Clamd(f"unix://{socket}")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
