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


@contextmanager
def start_clamd(folder: Path, *, limit: int = LIMIT, alert: bool = True) -> Iterator[Clamd]:
    """Run it on a socket in the folder until the end, with files of at most `limit` bytes.

    `alert`: whether it tells of what it has not scanned.
    """
    program = shutil.which("clamd")
    assert program, "clamd is missing: apt-get install clamav-daemon"
    signatures, socket = folder / "signatures", folder / "clamd.socket"
    signatures.mkdir()
    # At the start of a file of any type (ClamAV, "Body-based Signature Content Format").
    (signatures / "mark.ndb").write_text(f"Claimcheck.Mark:0:0:{MARK.hex()}\n")
    configuration = folder / "clamd.conf"
    configuration.write_text(
        f"DatabaseDirectory {signatures}\nLocalSocket {socket}\nTemporaryDirectory {folder}\n"
        f"Foreground yes\nStreamMaxLength {2 * limit}\nMaxFileSize {limit}\n"
        f"MaxScanSize {3 * limit}\nAlertExceedsMax {'yes' if alert else 'no'}\n"
    )
    log = (folder / "clamd.log").open("wb")
    process = subprocess.Popen(
        [program, "--config-file", str(configuration)], stdout=log, stderr=log
    )
    try:
        for _ in range(1200):
            if socket.exists():
                break
            assert process.poll() is None, (folder / "clamd.log").read_text()
            time.sleep(0.05)
        yield Clamd(f"unix://{socket}")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        log.close()
