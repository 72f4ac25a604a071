-- ops/oldest_waiting: for each model, how long has the longest waiting job that is due waited?
-- When: to be woken at night; this is what users feel. Minutes while a model is usable mean too
-- few workers, or a provider that is slower than the inserts. It is the job that is served next:
-- urgent jobs pass those of ten minutes before, so an older one may stand right behind it.
-- Reads two rows per waiting model by index, whatever the backlog.
SET TIME ZONE 'UTC';
SELECT models.name AS model,
       job.id      AS job,
       -- Not from an infinity, which an app may have written.
       CASE WHEN isfinite(job.since) THEN date_trunc('second', now() - job.since) END AS waited,
       CASE WHEN models.usable = 'infinity' THEN 'no, paused'
            WHEN models.usable > now()      THEN 'no, limited'
            ELSE 'yes' END AS usable
FROM photo_generation_waiting_models(
    ARRAY(SELECT DISTINCT provider || ':' || account FROM photo_generation_limits)) AS models
CROSS JOIN LATERAL (
    -- Fresh jobs wait since their insert, others since they were due again.
    (SELECT id, "createdAt" AS since
     FROM photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
       AND photo_generation_model(model) = models.model
     ORDER BY photo_generation_place("createdAt", priority), id
     LIMIT 1)
    UNION ALL
    (SELECT id, "retryAt"
     FROM photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" <= now()
       AND photo_generation_model(model) = models.model
     ORDER BY "retryAt"
     LIMIT 1)
    ORDER BY since
    LIMIT 1
) AS job
ORDER BY waited DESC;
