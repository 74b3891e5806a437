"""A receiver of webhooks in aiohttp: it believes nothing that is not signed.

    pip install aiohttp standardwebhooks
    WEBHOOK_SECRET=whsec_... python examples/webhook_receiver.py

The secret is the one that `claimcheck listen`, or the webhook when it was made, has shown.
"""

import os

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
# In a table of your own, in the transaction that does what the event asks for.
seen: set[str] = set()


async def hooks(request: web.Request) -> web.Response:
    """Answer within 10 seconds: what takes longer belongs into a queue of your own."""
    try:
        # The bytes as they came: JSON that was read and written again has another signature.
        event = webhook.verify(await request.read(), request.headers)
    except WebhookVerificationError:
        return web.Response(status=401)
    # An event may come twice.
    if request.headers["webhook-id"] not in seen:
        seen.add(request.headers["webhook-id"])
        data = event["data"]
        print(f"verified: {event['type']} {data.get('filename', data['id'])}", flush=True)
    return web.Response(status=204)


app = web.Application()
app.router.add_post("/hooks", hooks)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "3000")), print=None)
