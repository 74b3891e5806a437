// A receiver of webhooks in Express: it believes nothing that is not signed.
//
//   npm install
//   WEBHOOK_SECRET=whsec_... node receiver.js

import express from "express";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
// In a table of your own, in the transaction that does what the event asks for.
const seen = new Set();
const app = express();

// The bytes as they came: JSON that was read and written again has another signature.
app.post("/hooks", express.raw({ type: "application/json" }), (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body, request.headers);
  } catch {
    return response.sendStatus(401);
  }
  const id = request.get("webhook-id"); // an event may come twice
  if (!seen.has(id)) {
    seen.add(id);
    console.log(`verified: ${event.type} ${event.data.filename ?? event.data.id}`);
  }
  response.sendStatus(204);
});

app.listen(process.env.PORT ?? 3000, "127.0.0.1");
