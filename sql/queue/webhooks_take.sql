-- queue/webhooks_take: takes messages to apps that are due, to send them. Called by db::webhooks::take.
-- $1 how many at most, $2 hosts of which none are taken now, $3 how many of one host at most, $4 seconds
-- for which they are taken: whoever dies with a message is followed by another one then.
-- The hosts come in any order and few of each, so that none waits behind another's hundred thousand. They
-- are found by a loose scan of safelight_webhooks_host_idx: its cost is in the hosts, not in the messages.
WITH RECURSIVE hosts (host) AS (
    (SELECT host FROM photo_generation_webhooks WHERE "tryAt" IS NOT NULL ORDER BY host LIMIT 1)
    UNION ALL
    SELECT after.host FROM hosts CROSS JOIN LATERAL (
        SELECT message.host FROM photo_generation_webhooks AS message
        WHERE message."tryAt" IS NOT NULL AND message.host > hosts.host
        ORDER BY message.host LIMIT 1) AS after
),
due AS MATERIALIZED (
    SELECT message.id
    FROM (SELECT host FROM hosts WHERE host <> ALL ($2::text[]) ORDER BY random()) AS hosts
    CROSS JOIN LATERAL (
        SELECT id FROM photo_generation_webhooks AS one
        WHERE one.host = hosts.host AND "tryAt" <= now()
        ORDER BY "tryAt" LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED) AS message
    LIMIT $1
)
UPDATE photo_generation_webhooks AS message
SET tries = tries + 1, "triedAt" = now(), "tryAt" = now() + make_interval(secs => $4),
    status = NULL, error = NULL
FROM due
WHERE message.id = due.id
RETURNING message.id, message."jobId" AS job, message.event, message.url, message.host, message.body,
          message.tries, floor(extract(epoch FROM clock_timestamp()))::bigint AS "now!"
