-- ops/oldest_waiting: for each model, how long has the longest waiting job that is due waited?
-- When: to be woken at night; this is what users feel. Minutes while a model is usable mean too
-- few workers, or a provider that is slower than the inserts; or one tenant with much to do (ops/shares).
-- Of each tenant it is the job that is served next: urgent jobs pass those of ten minutes before, so an
-- older one may stand right behind it. Reads a job of each waiting tenant: 0.4 s for ten thousand.
SET TIME ZONE 'UTC';
WITH kind AS (
    SELECT * FROM photo_generation_waiting(
        ARRAY(SELECT DISTINCT provider || ':' || account FROM photo_generation_limits))
),
next AS (
    SELECT DISTINCT ON (standing.name)
           standing.name, standing.model, standing.type, standing.tenant, job.id,
           -- Fresh jobs wait since their insert, others since they were due again.
           coalesce(job."retryAt", job."createdAt") AS since
    FROM photo_generation_standing(NULL) AS standing
    CROSS JOIN LATERAL photo_generation_due(standing.model, standing.type, standing.tenant, 1) AS due
    JOIN photo_generation_queue AS job ON job.id = due.id
    ORDER BY standing.name, coalesce(job."retryAt", job."createdAt")
)
SELECT next.name AS model,
       next.id   AS job,
       next.tenant,
       -- Not from an infinity, which an app may have written.
       CASE WHEN isfinite(next.since) THEN date_trunc('second', now() - next.since) END AS waited,
       CASE WHEN kind.usable = 'infinity' THEN 'no, paused'
            WHEN kind.usable > now()      THEN 'no, limited'
            WHEN kind.usable IS NULL      THEN 'no worker has looked yet'
            ELSE 'yes' END AS usable
FROM next
LEFT JOIN kind USING (model, type)
ORDER BY waited DESC;
