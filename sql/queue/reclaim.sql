-- queue/reclaim: take back the jobs of dead workers; the attempt counts. Called by db::workers::sweep
-- on any worker that has itself renewed for a whole interval, see there.
-- $1 seconds after which a run that did not renew is dead.
-- Guarded by the lease that was seen: while we looked, the job may have been given back and
-- claimed by somebody who lives.
WITH lost AS MATERIALIZED (
    SELECT job.id, job.lease
    FROM photo_generation_queue AS job
    LEFT JOIN photo_generation_workers AS worker ON worker.run = job.run
    WHERE job.status = 'processing'
      AND CASE WHEN job.run IS NULL       -- some other program's
               THEN coalesce(job."lockedAt", job."updatedAt", job."createdAt", '-infinity')
                    < now() - interval '5 minutes'
               ELSE worker.run IS NULL OR worker."renewedAt" < now() - make_interval(secs => $1) END
      -- Just after a restart everybody is late to renew.
      AND pg_postmaster_start_time() < now() - make_interval(secs => $1)
),
locked AS MATERIALIZED (
    SELECT job.id
    FROM photo_generation_queue AS job JOIN lost ON job.id = lost.id AND job.lease = lost.lease
    WHERE job.status = 'processing'
    FOR NO KEY UPDATE OF job SKIP LOCKED
)
UPDATE photo_generation_queue AS job
SET status = 'pending',
    attempts = coalesce(job.attempts, 0) + 1,
    "lockedBy" = NULL,
    "lockedAt" = NULL,
    "errorCode" = 'worker_lost',
    "errorMessage" = 'The worker stopped in the middle of this job; it runs again.'
FROM locked
WHERE job.id = locked.id
RETURNING job.id::bigint AS "id!"
