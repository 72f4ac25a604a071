-- queue/webhooks_forget: forgets messages to apps that are old and delivered, given up, or were never
-- tried, since no worker can sign them. Called by db::webhooks::forget.
-- $1 seconds after which, $2 how many at most.
DELETE FROM photo_generation_webhooks
WHERE id = ANY (ARRAY(SELECT id FROM photo_generation_webhooks
                      WHERE "createdAt" < now() - make_interval(secs => $1)
                        AND ("tryAt" IS NULL OR "triedAt" IS NULL)
                      ORDER BY "createdAt" LIMIT $2 FOR UPDATE SKIP LOCKED))
