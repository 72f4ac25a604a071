-- ops/waiting: the jobs that run next, in the order in which they will be claimed.
-- When: somebody asks when their job's turn comes, or why it did not come yet.
-- How many lines: psql -v rows=50 -f sql/ops/waiting.sql (10 when not said).
-- A job whose tenant may not run more now is passed by those behind it. ops/shares says why a tenant is
-- before another. Reads the share of each tenant once, and the first jobs of the first tenants.
\if :{?rows}
\else
\set rows 10
\endif
SET TIME ZONE 'UTC';
WITH kind AS (
    SELECT * FROM photo_generation_waiting(
        ARRAY(SELECT DISTINCT provider || ':' || account FROM photo_generation_limits))
),
busy AS (SELECT * FROM photo_generation_busy()),
-- Across models: a model comes first whose running jobs have less to take for each tenant that waits.
standing AS (
    SELECT one.*, one.begins - min(one.begins) OVER of_model
                  + coalesce(expected.seconds, 0) / count(*) OVER of_model AS turn_of
    FROM photo_generation_standing(NULL) AS one
    LEFT JOIN (SELECT name, sum(seconds) AS seconds FROM photo_generation_expected() GROUP BY name)
         AS expected ON expected.name = one.name
    WINDOW of_model AS (PARTITION BY one.name)
),
share AS (
    SELECT standing.*,
           CASE WHEN paused.name IS NOT NULL THEN 'infinity' ELSE kind.usable END AS usable,
           kind.model IS NOT NULL AS is_known,
           CASE WHEN busy.tenant IS NOT NULL THEN busy.places
                ELSE photo_generation_cap(
                    standing.tenant, own."maxRunning",
                    (SELECT photo_generation_number('tenantMaxRunning'))) END AS places
    FROM standing
    LEFT JOIN kind USING (model, type)
    LEFT JOIN busy ON busy.tenant = standing.tenant
    LEFT JOIN photo_generation_tenants AS own ON own.tenant = standing.tenant
    LEFT JOIN photo_generation_pauses AS paused
           ON paused.what = 'tenant' AND paused.name = standing.tenant
    ORDER BY greatest(CASE WHEN paused.name IS NOT NULL THEN 'infinity' ELSE kind.usable END,
                      standing."lookAt", now()),
             standing.turn_of
    LIMIT :rows
),
waiting AS (
    SELECT share.*, due.id, due.place, NULL::timestamptz AS until,
           share.turn_of + share."secondsPerCall" * coalesce(sum(due.images) OVER earlier, 0)
               AS order_of,
           row_number() OVER (PARTITION BY share.tenant ORDER BY due.place, due.id) AS nth
    FROM share
    CROSS JOIN LATERAL photo_generation_due(share.model, share.type, share.tenant, :rows) AS due
    WINDOW earlier AS (PARTITION BY share.name, share.tenant ORDER BY due.place, due.id
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    UNION ALL
    SELECT share.*, later.id, NULL, later."retryAt", share.turn_of, NULL
    FROM share
    CROSS JOIN LATERAL (
        SELECT id, "retryAt" FROM photo_generation_queue
        WHERE status IN ('pending', 'rate_limited') AND "retryAt" > now()
          AND photo_generation_model(model) = share.model AND photo_generation_type(type) = share.type
          AND photo_generation_tenant("teamId"::text, "userId"::text) = share.tenant
        ORDER BY "retryAt"
        LIMIT :rows) AS later
)
SELECT job.id,
       waiting.name AS model,
       waiting.tenant,
       job.priority,
       job."createdAt",
       job.attempts,
       CASE WHEN waiting.usable = 'infinity' THEN 'when it is resumed'
            WHEN waiting.until = 'infinity'  THEN 'never'
            WHEN greatest(waiting.usable, waiting.until) > now()
                THEN 'in ' || date_trunc('second', greatest(waiting.usable, waiting.until) - now())
            WHEN NOT waiting.is_known        THEN 'when a worker looks'
            WHEN waiting.nth > waiting.places THEN 'when a job of its tenant ends'
            ELSE 'now' END AS may_start,
       job."errorMessage"
FROM waiting
JOIN photo_generation_queue AS job ON job.id = waiting.id
-- What is due in the order of turns, then what is not in order of its moment.
ORDER BY greatest(waiting.usable, waiting.until, now()), waiting.order_of, waiting.place, job.id
LIMIT :rows;
