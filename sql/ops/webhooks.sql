-- ops/webhooks: which messages to apps are not delivered, why, and when are they tried again?
-- When: an app says that it was not told of the end of a job. A message
-- without a try waits for a worker that has WEBHOOK_SECRET; given_up is tried no more. Both are forgotten
-- after a week.
-- Reads the messages of that week.
SELECT "jobId"     AS job,
       event,
       host,
       CASE WHEN "tryAt" IS NULL THEN 'given_up' WHEN tries = 0 THEN 'waiting' ELSE 'failing' END AS state,
       tries,
       status,
       error,
       "triedAt"   AS tried_at,
       "tryAt"     AS next_try,
       id          AS "webhook-id"
FROM photo_generation_webhooks
WHERE "deliveredAt" IS NULL
ORDER BY "createdAt" DESC
LIMIT 100;
