-- ops/retry_webhooks_write: send the messages of ops/webhooks again at once, those that were given up too.
-- When: after the receiver is mended. The next sweep of a worker does it, within seconds, under the same
-- ids; each has all its tries before it again.
UPDATE photo_generation_webhooks
SET tries = 0, "tryAt" = now()
WHERE "deliveredAt" IS NULL
RETURNING id AS "webhook-id", "jobId" AS job, event, host;
