-- ops/stuck: which jobs do not come on, and why?
-- When: a job is processing for too long. Workers take most of these back by themselves: those of
-- a dead worker within a minute while another worker lives, those of another program five minutes
-- after "lockedAt". What stays here longer needs a person: start a worker, or ops/cancel_write.
-- Reads the processing rows by index.
SET TIME ZONE 'UTC';
SELECT job.id,
       CASE WHEN job.run IS NULL    THEN 'locked by another program, which does not renew it'
            WHEN worker.run IS NULL THEN 'its worker is gone'
            WHEN worker."renewedAt" < now() - interval '30 seconds'
                THEN 'its worker does not say that it lives'
            ELSE 'no call was started or ended for 10 minutes' END AS why,
       coalesce(worker.label, job."lockedBy")             AS worker,
       worker.host,
       CASE WHEN isfinite(coalesce(worker."renewedAt", job."lockedAt"))
            THEN date_trunc('second', now() - coalesce(worker."renewedAt", job."lockedAt")) END AS renewed,
       date_trunc('second', now() - calls.latest)         AS latest_call
FROM photo_generation_queue AS job
LEFT JOIN photo_generation_workers AS worker ON worker.run = job.run
CROSS JOIN LATERAL (
    SELECT greatest(max("startedAt"), max("endedAt")) AS latest
    FROM photo_generation_calls
    WHERE "jobId" = job.id
) AS calls
WHERE job.status = 'processing'
  AND CASE WHEN job.run IS NULL
               THEN coalesce(job."lockedAt", job."updatedAt", job."createdAt", '-infinity')
                    < now() - interval '5 minutes'
           ELSE worker.run IS NULL
                OR worker."renewedAt" < now() - interval '30 seconds'
                OR greatest(calls.latest, job."updatedAt") < now() - interval '10 minutes' END
ORDER BY job.id;
