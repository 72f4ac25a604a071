-- ops/waiting: the jobs that run next, in the order in which they will be claimed.
-- When: somebody asks when their job's turn comes, or why it did not come yet.
-- How many lines: psql -v rows=50 -f sql/ops/waiting.sql (10 when not said).
-- Reads the first rows of each waiting model by index, whatever the backlog.
\if :{?rows}
\else
\set rows 10
\endif
SET TIME ZONE 'UTC';
WITH models AS (
    SELECT *
    FROM photo_generation_waiting_models(
        ARRAY(SELECT DISTINCT provider || ':' || account FROM photo_generation_limits))
)
SELECT job.id,
       models.name AS model,
       job.priority,
       job."createdAt",
       job.attempts,
       CASE WHEN models.usable = 'infinity' THEN 'when the model is resumed'
            WHEN job."retryAt" = 'infinity' THEN 'never'
            WHEN greatest(models.usable, job."retryAt") > now()
                THEN 'in ' || date_trunc('second', greatest(models.usable, job."retryAt") - now())
            ELSE 'now' END AS may_start,
       job."errorMessage"
FROM models
CROSS JOIN LATERAL (
    (SELECT *, photo_generation_place("createdAt", priority) AS place
     FROM photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
       AND photo_generation_model(model) = models.model
     ORDER BY photo_generation_place("createdAt", priority), id
     LIMIT :rows)
    UNION ALL
    (SELECT *, photo_generation_place("createdAt", priority) AS place
     FROM photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NOT NULL
       AND photo_generation_model(model) = models.model
     ORDER BY "retryAt"
     LIMIT :rows)
) AS job
-- What is due in order of its place, then what is not in order of its moment.
ORDER BY greatest(models.usable, job."retryAt", now()), job.place, job.id
LIMIT :rows;
