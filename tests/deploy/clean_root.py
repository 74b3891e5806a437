"""Release, web and worker as the Procfile has them, in a root of their own; see `.ci/clean-root`.

`python -m tests.deploy.clean_root FOLDER`, as root: FOLDER is the image's file system.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg

from app.embedded.postgres import start_postgres
from app.embedded.s3 import start_s3
from tests.support.deployed import KILLED_AFTER, Root, procfile, sigterm_under_load
from tests.support.service import ACCESS_KEY, SECRET_KEY, Store


def main(folder: str, config: str) -> None:
    """`config` is the image's own configuration: its user and its environment."""
    image = json.loads(Path(config).read_text())["Docker"]["config"]
    environ = dict(variable.split("=", 1) for variable in image["Env"])
    enter = ["chroot", f"--userspec={image['User']}", folder, "env", f"-C{image['WorkingDir']}"]
    root = Root(enter, environ)
    said = subprocess.run(
        [*enter, "python", "-m", "pip", "--version"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    say(f"pip in the image: {said.stdout.strip() or 'none'}")
    with (
        tempfile.TemporaryDirectory() as scratch,
        start_postgres() as database,
        start_s3(ACCESS_KEY, SECRET_KEY) as endpoint,
    ):
        deployed = {
            **Store(endpoint).environ("clean-root"),
            "DATABASE_URL": database.replace("postgresql://", "postgres://"),
            "CLAIMCHECK_AUTH": "keys",
        }
        asyncio.run(_prove(root, deployed, Path(scratch) / "log"))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _prove(root: Root, environ: dict[str, str], log: Path) -> None:
    lines = procfile()
    try:
        both = [root.run(lines["release"], environ, log) for _ in range(2)]
        assert await asyncio.gather(*both) == [0, 0]
        say("release: two at once, both ended with 0")
        answered = await sigterm_under_load(root, environ, log)
        say(f"web: SIGTERM under load, {answered} announcements, all that were stored answered")
        db = await asyncpg.connect(environ["DATABASE_URL"])
        abandoned = "UPDATE files SET expires_at = now() - interval '5 hours' WHERE state = $1"
        await db.execute(abandoned, "pending")
        worker = await root.start(lines["worker"], environ, log)
        async with asyncio.timeout(120):
            while await db.fetchval("SELECT count(*) FROM files WHERE state = 'pending'"):
                assert worker.returncode is None
                await asyncio.sleep(0.2)
        await db.close()
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), KILLED_AFTER) == 0
        say("worker: swept what was abandoned, and ended with 0 after SIGTERM")
    except BaseException:
        say((await asyncio.to_thread(log.read_text))[-4000:])
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
