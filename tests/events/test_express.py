"""A receiver with npm's `standardwebhooks` verifies what the service delivers."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from app.core.principal import DEV
from app.events import webhooks
from app.runtime.resources import Resources
from tests.events.steps import confirm, deliver
from tests.support.browser.packages import install, needs_npm
from tests.support.service import Clock
from tests.support.stores import free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "webhooks-express"


@needs_npm
async def test_express_verifies_each_secret_of_a_rotation(
    res: Resources, clock: Clock, tmp_path: Path
) -> None:
    project, port = tmp_path / "express", free_port()
    await asyncio.to_thread(install, project, EXAMPLE)
    url = f"http://127.0.0.1:{port}/hooks"
    webhook, old = await webhooks.create(res, DEV, url=url)

    async def verified(secret: str) -> bool:
        """Whether a receiver with this secret takes the next event."""
        receiver = await asyncio.create_subprocess_exec(
            *("node", "receiver.js"),
            cwd=project,
            env={"PATH": os.environ["PATH"], "PORT": str(port), "WEBHOOK_SECRET": secret},
        )
        try:
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    assert receiver.returncode is None
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    await writer.wait_closed()
                    break
            await confirm(res)
            return await deliver(res) == {"delivered": 1}
        finally:
            receiver.kill()
            await receiver.wait()

    assert await verified(old)
    _, new = await webhooks.rotate_secret(res, DEV, webhook.id, timedelta(minutes=1))
    assert await verified(old)
    assert await verified(new)
    # A receiver does not believe a clock that is more than five minutes off: move on by less.
    clock.ahead += timedelta(minutes=2)
    assert not await verified(old)
