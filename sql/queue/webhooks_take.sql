-- queue/webhooks_take: takes messages to apps that are due, to send them. Called by db::webhooks::take.
-- $1 how many at most, $2 $3 tenant and host of each that this worker is sending, $4 how many it may send to
-- one host, $5 how many of one tenant, $6 seconds for which they are taken: whoever dies with a message is
-- followed by another one then.
-- What it costs does not grow with the messages, nor with their tenants or hosts: it looks at 32 tenants that
-- have one ready, and at 32 hosts, from a random one on in the order of their hashes, and at a few messages of
-- each. By tenant, so that nobody's ten thousand hosts hide another tenant; by host, so that ten thousand
-- tenants of a slow one do not hide another host. What is beyond is somebody's turn in one of the next looks.
-- Of those it takes what the shares leave room for, tenants in turn: on each host, and then on all.
WITH RECURSIVE under_way AS MATERIALIZED (
    SELECT * FROM unnest($2::text[], $3::text[]) AS message (tenant, host)
),
tenants (lot, seen) AS (
    SELECT hashtextextended(random()::text, 0), 0
    UNION ALL
    SELECT coalesce((SELECT "tenantLot" FROM photo_generation_webhooks
                     WHERE "tenantLot" > tenants.lot ORDER BY "tenantLot", "tryAt" LIMIT 1),
                    (SELECT "tenantLot" FROM photo_generation_webhooks
                     WHERE "tenantLot" IS NOT NULL ORDER BY "tenantLot", "tryAt" LIMIT 1)), seen + 1
    FROM tenants WHERE lot IS NOT NULL AND seen < 32
),
hosts (lot, seen) AS (
    SELECT hashtextextended(random()::text, 0), 0
    UNION ALL
    SELECT coalesce((SELECT "hostLot" FROM photo_generation_webhooks
                     WHERE "hostLot" > hosts.lot ORDER BY "hostLot", "tryAt" LIMIT 1),
                    (SELECT "hostLot" FROM photo_generation_webhooks
                     WHERE "hostLot" IS NOT NULL ORDER BY "hostLot", "tryAt" LIMIT 1)), seen + 1
    FROM hosts WHERE lot IS NOT NULL AND seen < 32
),
found AS MATERIALIZED (
    SELECT message.*
    FROM (SELECT DISTINCT lot FROM tenants WHERE seen > 0) AS tenants
    CROSS JOIN LATERAL (
        SELECT id, tenant, host, "tryAt" FROM photo_generation_webhooks
        WHERE "tenantLot" = tenants.lot AND "tryAt" <= now()
        ORDER BY "tryAt" LIMIT $4) AS message
    UNION
    SELECT message.*
    FROM (SELECT DISTINCT lot FROM hosts WHERE seen > 0) AS hosts
    CROSS JOIN LATERAL (
        SELECT id, tenant, host, "tryAt" FROM photo_generation_webhooks
        WHERE "hostLot" = hosts.lot AND "tryAt" <= now()
        ORDER BY "tryAt" LIMIT $4) AS message
),
turns AS (
    SELECT found.*, held.of_tenant, held.of_host,
           held.of_tenant + row_number() OVER (PARTITION BY tenant, host ORDER BY "tryAt", id) AS turn
    FROM found
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE under_way.tenant = found.tenant) AS of_tenant,
               count(*) FILTER (WHERE under_way.host = found.host) AS of_host
        FROM under_way) AS held
    WHERE held.of_tenant < $5
),
to_hosts AS (
    SELECT turns.*, of_host + row_number() OVER (PARTITION BY host ORDER BY turn, random()) AS to_host FROM turns
),
in_order AS (
    SELECT id, of_tenant + row_number() OVER (PARTITION BY tenant ORDER BY turn, random()) AS of_its_tenant
    FROM to_hosts WHERE to_host <= $4
),
due AS MATERIALIZED (
    -- One that another worker has taken meanwhile is not due any more.
    SELECT id FROM photo_generation_webhooks
    WHERE "tryAt" <= now()
      AND id = ANY (ARRAY(SELECT id FROM in_order WHERE of_its_tenant <= $5
                          ORDER BY of_its_tenant, random() LIMIT $1))
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE photo_generation_webhooks AS message
SET tries = tries + 1, "triedAt" = now(), "tryAt" = now() + make_interval(secs => $6), ready = false,
    status = NULL, error = NULL
FROM due
WHERE message.id = due.id
RETURNING message.id, message."jobId" AS job, message.event, message.url, message.tenant, message.host,
          message.body, message.tries, floor(extract(epoch FROM clock_timestamp()))::bigint AS "now!"
