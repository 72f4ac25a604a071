-- queue/webhooks_end: what became of a try to send a message to an app. Called by db::webhooks::delivered
-- and db::webhooks::failed.
-- $1 message, $2 which try, so that the end of one that took too long changes nothing of the next, $3 the
-- receiver's status, $4 error (NULL: delivered), $5 seconds until the next try (NULL: none).
UPDATE photo_generation_webhooks
-- Not ready: a sweep may have made it so again, if the end could not be written for a minute.
SET ready = false, status = $3, error = $4,
    "tryAt" = now() + make_interval(secs => $5),
    "deliveredAt" = CASE WHEN $4::text IS NULL THEN now() END
WHERE id = $1 AND tries = $2 AND "tryAt" IS NOT NULL
