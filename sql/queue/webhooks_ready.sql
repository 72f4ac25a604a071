-- queue/webhooks_ready: makes some messages to apps ready whose next try has come, or that were taken by a
-- worker that is gone. Called by db::webhooks::make_ready.
-- $1 how many at most.
UPDATE photo_generation_webhooks
SET ready = true
WHERE id = ANY (ARRAY(SELECT id FROM photo_generation_webhooks
                      WHERE NOT ready AND "tryAt" <= now()
                      ORDER BY "tryAt" LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED))
