-- ops/shares: who has had how much of each model's time, and who is next.
-- When: a tenant waits longer than others, or asks why.
-- How many lines: psql -v rows=50 -f sql/ops/shares.sql (20 when not said).
-- ahead: seconds of the provider's time that the tenant has had more than whoever began last, what its
-- running jobs will take included; the least is next. running: jobs, and how many may. waiting: counted
-- up to 1000. Reads the share of each tenant once: 20 ms for ten thousand tenants.
\if :{?rows}
\else
\set rows 20
\endif
SET TIME ZONE 'UTC';
WITH kind AS (
    SELECT * FROM photo_generation_waiting(
        ARRAY(SELECT DISTINCT provider || ':' || account FROM photo_generation_limits))
),
busy AS (SELECT * FROM photo_generation_busy()),
next AS (
    SELECT standing.*, kind.usable, busy.running, paused.tenant IS NOT NULL AS paused
    FROM photo_generation_standing(NULL) AS standing
    LEFT JOIN kind USING (model, type)
    LEFT JOIN busy ON busy.tenant = standing.tenant
    LEFT JOIN (SELECT name AS tenant FROM photo_generation_pauses WHERE what = 'tenant') AS paused
           ON paused.tenant = standing.tenant
    ORDER BY standing.name, standing.begins - standing.turn, standing.tenant, standing.type
    LIMIT :rows
)
SELECT next.name AS model,
       next.type,
       next.tenant,
       round((next.begins - next.turn)::numeric, 1) AS ahead,
       coalesce(next.running, 0) || '/' || coalesce(photo_generation_cap(
           next.tenant, (SELECT "maxRunning" FROM photo_generation_tenants AS own
                         WHERE own.tenant = next.tenant),
           photo_generation_number('tenantMaxRunning'))::text, 'any') AS running,
       fresh.jobs + retrying.jobs || CASE WHEN 1000 IN (fresh.jobs, retrying.jobs) THEN '+' ELSE '' END
           AS waiting,
       CASE WHEN next.paused               THEN 'paused'
            WHEN next.usable = 'infinity'  THEN 'when the model is resumed'
            WHEN greatest(next.usable, next."lookAt") > now()
                THEN 'in ' || date_trunc('second', greatest(next.usable, next."lookAt") - now())
            WHEN next.usable IS NULL       THEN 'when a worker looks'
            ELSE 'now' END AS may_start
FROM next
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs FROM (
        SELECT FROM photo_generation_queue
        WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
          AND photo_generation_model(model) = next.model AND photo_generation_type(type) = next.type
          AND photo_generation_tenant("teamId"::text, "userId"::text) = next.tenant
        LIMIT 1000) AS jobs
) AS fresh
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs FROM (
        SELECT FROM photo_generation_queue
        WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NOT NULL
          AND photo_generation_model(model) = next.model AND photo_generation_type(type) = next.type
          AND photo_generation_tenant("teamId"::text, "userId"::text) = next.tenant
        LIMIT 1000) AS jobs
) AS retrying
ORDER BY next.name, next.begins - next.turn, next.tenant, next.type;
