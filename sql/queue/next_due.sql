-- queue/next_due: seconds until the next job may be claimed; 0 when one is due; NULL when none waits
-- for a moment that we know. Called by db::lease::next_due, to set the timer.
-- $1 accounts ('provider:account'), $2 types (NULL: all), $3 models for whose calls enough wait here.
-- Reads one row per waiting model from safelight_place_idx and safelight_retry_idx.
SELECT CASE WHEN coalesce(min(job.due), 'infinity') = 'infinity' THEN NULL
            -- greatest skips NULL, so no job at all must not come here; and -infinity, which an app
            -- may have written, cannot be subtracted from.
            ELSE extract(epoch FROM greatest(min(job.due), now()) - now())::float8
       END AS seconds
FROM photo_generation_waiting_models($1) AS models
CROSS JOIN LATERAL (
    SELECT greatest(models.usable, least(
        (SELECT now() FROM photo_generation_queue
         WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
           AND photo_generation_model(model) = models.model
           AND ($2::text[] IS NULL OR coalesce(type, 'photo_generation') = ANY ($2))
         LIMIT 1),
        (SELECT "retryAt" FROM photo_generation_queue
         WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NOT NULL
           AND photo_generation_model(model) = models.model
           AND ($2::text[] IS NULL OR coalesce(type, 'photo_generation') = ANY ($2))
         ORDER BY "retryAt" LIMIT 1),
        -- greatest and least skip NULL: a model whose jobs are all of other types is not due.
        'infinity')) AS due
) AS job
WHERE models.name IS NULL OR models.name <> ALL ($3)
