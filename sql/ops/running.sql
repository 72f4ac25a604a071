-- ops/running: which jobs run now, for how long, and on which worker?
-- When: to see what the workers do at this moment. A job that should not be here: ops/stuck.
-- calls are in flight at the provider; "renewed" is how long ago the worker said that it lives.
-- Reads the processing rows by index.
SET TIME ZONE 'UTC';
SELECT job.id,
       coalesce(job.model, '(default)')                                          AS model,
       coalesce(job."imagesCompleted", 0) || '/' || coalesce(job."imagesTotal", job."numImagesPerExample") AS images,
       coalesce(job.attempts, 0)                                                 AS attempts,
       CASE WHEN isfinite(job."startedAt")
            THEN date_trunc('second', now() - job."startedAt") END               AS since_first_claim,
       calls.number                                                              AS calls,
       date_trunc('second', now() - calls.oldest)                                AS oldest_call,
       coalesce(worker.label, job."lockedBy")                                    AS worker,
       worker.host,
       CASE WHEN isfinite(coalesce(worker."renewedAt", job."lockedAt"))
            THEN date_trunc('second', now() - coalesce(worker."renewedAt", job."lockedAt")) END AS renewed
FROM photo_generation_queue AS job
LEFT JOIN photo_generation_workers AS worker ON worker.run = job.run
CROSS JOIN LATERAL (
    SELECT count(*) AS number, min("startedAt") AS oldest
    FROM photo_generation_calls
    WHERE "jobId" = job.id AND state = 'calling' AND spool IS NULL
) AS calls
WHERE job.status = 'processing'
ORDER BY job."startedAt", job.id;
