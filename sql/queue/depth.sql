-- queue/depth: the queue at this moment, finished jobs aside. Called by db::vitals::depth, for /metrics.
-- Each count is of a partial index; a tenant is one probe of safelight_fresh_idx and one row, its next.
-- Of a tenant the job is counted that is served next: an older one may stand behind an urgent one.
WITH RECURSIVE tenant AS (
    (SELECT photo_generation_model(model) AS model, photo_generation_type(type) AS type,
            photo_generation_tenant("teamId"::text, "userId"::text) AS tenant, "createdAt"::timestamptz AS since
     FROM photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
     ORDER BY photo_generation_model(model), photo_generation_type(type),
              photo_generation_tenant("teamId"::text, "userId"::text),
              photo_generation_place("createdAt", priority), id
     LIMIT 1)
    UNION ALL
    SELECT next.*
    FROM tenant
    CROSS JOIN LATERAL (
        SELECT photo_generation_model(job.model), photo_generation_type(job.type),
               photo_generation_tenant(job."teamId"::text, job."userId"::text), job."createdAt"::timestamptz
        FROM photo_generation_queue AS job
        WHERE job.status IN ('pending', 'rate_limited') AND job."retryAt" IS NULL
          AND (photo_generation_model(job.model), photo_generation_type(job.type),
               photo_generation_tenant(job."teamId"::text, job."userId"::text))
              > (tenant.model, tenant.type, tenant.tenant)
        ORDER BY photo_generation_model(job.model), photo_generation_type(job.type),
                 photo_generation_tenant(job."teamId"::text, job."userId"::text),
                 photo_generation_place(job."createdAt", job.priority), job.id
        LIMIT 1
    ) AS next
),
fresh AS (
    SELECT count(DISTINCT tenant) AS tenants, min(since) FILTER (WHERE isfinite(since)) AS since FROM tenant
),
retrying AS (
    SELECT count(*) AS jobs, min("retryAt"::timestamptz) FILTER (WHERE isfinite("retryAt")) AS since
    FROM photo_generation_queue
    WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NOT NULL
)
SELECT (SELECT count(*) FROM photo_generation_queue
        WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL) + retrying.jobs AS "waiting!",
       (SELECT count(*) FROM photo_generation_queue WHERE status = 'processing') AS "processing!",
       (SELECT count(*) FROM photo_generation_calls
        WHERE state = 'calling' AND accepted IS NULL) AS "calls_running!",
       (SELECT coalesce(sum(photos), 0) FROM photo_generation_spools) AS "spool_photos!",
       (SELECT coalesce(sum(bytes), 0)::bigint FROM photo_generation_spools) AS "spool_bytes!",
       (SELECT count(*) FROM photo_generation_spools WHERE "fullSince" IS NOT NULL) AS "spools_full!",
       (SELECT count(*) FROM photo_generation_workers
        WHERE "renewedAt" > now() - interval '30 seconds') AS "workers!",
       fresh.tenants AS "tenants_waiting!",
       greatest(extract(epoch FROM now() - least(fresh.since, retrying.since)), 0)::float8 AS "oldest_seconds!"
FROM fresh CROSS JOIN retrying
