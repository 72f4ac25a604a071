-- queue/position: how many jobs begin before one that is due, what is known of the pace, and what its
-- tenant and its model wait for. Called by db::jobs::standing, for `safelight show`.
-- $1 job.
-- As the claim reckons (photo_generation_next): a job begins at the virtual time of its tenant, plus the
-- seconds of the tenant's own jobs before it. Before it begin those, and of every other tenant as many
-- as fit before that time: at most about as many as its own tenant has before it. Caps are not
-- reckoned with: they let others pass.
-- Of the own jobs it counts 1000. Of more than a hundred other tenants it looks at about a hundred, by
-- lot, and takes these for all; of each at a hundred jobs, and assumes that more go on as these do.
WITH job AS MATERIALIZED (
    SELECT id, photo_generation_model(model::text) AS model, photo_generation_type(type::text) AS type,
           photo_generation_tenant("teamId"::text, "userId"::text) AS tenant,
           coalesce(nullif(photo_generation_model(model::text), ''), photo_generation_default_model())
               AS name,
           photo_generation_place("createdAt", priority::text) AS place
    FROM photo_generation_queue
    WHERE id = $1 AND status IN ('pending', 'rate_limited') AND ("retryAt" IS NULL OR "retryAt" <= now())
),
standing AS MATERIALIZED (
    SELECT standing.* FROM job CROSS JOIN LATERAL photo_generation_standing(job.name) AS standing
    -- Before the first worker has recorded the default nobody knows.
    WHERE job.name IS NOT NULL AND (standing."lookAt" IS NULL OR standing."lookAt" <= now())
      AND standing.type NOT IN (SELECT name FROM photo_generation_pauses WHERE what = 'type')
      AND standing.tenant NOT IN (SELECT name FROM photo_generation_pauses WHERE what = 'tenant')
),
own_share AS MATERIALIZED (SELECT standing.* FROM job JOIN standing USING (tenant)),
own AS MATERIALIZED (
    SELECT count(*) AS jobs, coalesce(sum(due.images), 0) AS images
    FROM job
    CROSS JOIN own_share
    CROSS JOIN LATERAL photo_generation_due(own_share.model, own_share.type, own_share.tenant, 1001) AS due
    WHERE (due.place, due.id) < (job.place, job.id)
),
mine AS MATERIALIZED (
    SELECT job.*, own_share.begins + own_share."secondsPerCall" * own.images AS begins,
           own.jobs, own.images
    FROM job
    CROSS JOIN own
    JOIN own_share USING (model, type, tenant)
),
-- Two looks at them cost less than to keep them all.
others_before AS MATERIALIZED (
    SELECT count(*) AS shares FROM mine
    JOIN standing ON standing.tenant <> mine.tenant AND standing.begins <= mine.begins
),
looked_at AS MATERIALIZED (
    SELECT standing.*, mine.begins - standing.begins AS seconds,
           -- No job is charged less than half a call.
           least(100, 1 + floor((mine.begins - standing.begins) / (standing."secondsPerCall" * 0.5)))::bigint
               AS most
    FROM mine
    CROSS JOIN others_before
    JOIN standing ON standing.tenant <> mine.tenant AND standing.begins <= mine.begins
    WHERE hashtextextended(standing.tenant, 0) % (others_before.shares / 101 + 1) = 0
),
theirs AS (
    SELECT looked_at.tenant, looked_at.type, looked_at.model, looked_at.most, due.images,
           looked_at.seconds, looked_at."secondsPerCall",
           (looked_at.begins + looked_at."secondsPerCall" * coalesce(sum(due.images) OVER earlier, 0),
            due.place, due.id) < (mine.begins, mine.place, mine.id) AS is_before
    FROM mine
    CROSS JOIN looked_at
    CROSS JOIN LATERAL photo_generation_due(
        looked_at.model, looked_at.type, looked_at.tenant, looked_at.most) AS due
    WINDOW earlier AS (PARTITION BY looked_at.tenant ORDER BY due.place, due.id
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
of_each AS (
    SELECT count(*) FILTER (WHERE is_before) * beyond.times AS jobs,
           coalesce(sum(images) FILTER (WHERE is_before), 0) * beyond.times AS images
    FROM (
        SELECT theirs.*, count(*) FILTER (WHERE is_before) OVER one = 100 AS goes_on,
               sum(images) OVER one * "secondsPerCall" AS taken
        FROM theirs WINDOW one AS (PARTITION BY tenant, type, model)
    ) AS seen
    CROSS JOIN LATERAL (
        SELECT CASE WHEN goes_on THEN greatest(seconds / taken, 1) ELSE 1 END AS times
    ) AS beyond
    GROUP BY tenant, type, model, beyond.times
),
others AS (
    SELECT coalesce(sum(of_each.jobs), 0) * shown.times AS jobs,
           coalesce(sum(of_each.images), 0) * shown.times AS images
    FROM (SELECT (SELECT shares FROM others_before)::float8 / greatest(count(*), 1) AS times
          FROM looked_at) AS shown
    LEFT JOIN of_each ON true
    GROUP BY shown.times
),
-- What was stored lately, and what is called now: a fleet that had nothing to do is faster than it was.
pace AS (
    SELECT greatest(
               count(*) FILTER (WHERE state = 'stored')
                   / greatest(extract(epoch FROM now() - min("startedAt") FILTER (WHERE state = 'stored')), 10),
               count(*) FILTER (WHERE state = 'calling' AND accepted IS NULL) / min(known."secondsPerCall")) AS images
    FROM job
    JOIN photo_generation_limits AS l ON l.model = job.name
    JOIN photo_generation_calls AS call
      ON call.provider = l.provider AND call.account = l.account AND call.model = l.model
     AND call."startedAt" > now() - interval '10 minutes'
    LEFT JOIN photo_generation_models AS known ON known.model = job.name
),
budget AS (
    SELECT budget.usable, budget.why FROM job
    JOIN photo_generation_limits AS l ON l.model = job.name
    CROSS JOIN LATERAL photo_generation_budget(
        l.provider, l.account, l.model, '1 second', NULL, NULL, NULL) AS budget
    ORDER BY budget.usable LIMIT 1
)
SELECT (least(mine.jobs, 1000) + round(others.jobs))::bigint AS "jobs_before!",
       mine.jobs > 1000 AS "or_more!",
       (nullif(pace.images, 0))::float8 AS images_per_second,
       (mine.images + others.images)::float8 AS "images_before!",
       coalesce((SELECT busy.running FROM photo_generation_busy() AS busy
                 WHERE busy.tenant = mine.tenant), 0) AS "running!",
       photo_generation_cap(
           mine.tenant, (SELECT "maxRunning" FROM photo_generation_tenants AS own
                         WHERE own.tenant = mine.tenant),
           photo_generation_number('tenantMaxRunning')) AS max_running,
       CASE WHEN budget.usable > now() AND budget.usable < 'infinity' THEN budget.usable END AS usable_at,
       CASE WHEN budget.usable > now() THEN budget.why END AS why
FROM mine
CROSS JOIN others
CROSS JOIN pace
LEFT JOIN budget ON true
