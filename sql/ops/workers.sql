-- ops/workers: which workers live, and what do they hold?
-- When: nothing is worked, or after a deployment: is the new version running, is the old one gone?
-- A worker that has not renewed for 30 seconds counts as dead; its jobs are taken back by others.
SELECT worker.label,
       worker.host,
       worker.pid,
       worker.version,
       array_to_string(worker.accounts, ' ')                  AS accounts,
       worker."renewedAt" > now() - interval '30 seconds'     AS alive,
       date_trunc('second', now() - worker."renewedAt")       AS renewed,
       date_trunc('second', now() - worker."startedAt")       AS up,
       (SELECT count(*) FROM photo_generation_queue AS job
        WHERE job.status = 'processing' AND job.run = worker.run) AS jobs
FROM photo_generation_workers AS worker
ORDER BY worker."startedAt", worker.run;
