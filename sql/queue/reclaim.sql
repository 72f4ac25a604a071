-- queue/reclaim: take back the jobs of dead workers; the attempt counts. Called by db::sweep::reclaim.
-- $1 the runs that this worker has watched and found dead, $2 the seconds that takes.
-- Guarded by the lease that was seen: while we looked, the job may have been given back and
-- claimed by somebody who lives.
WITH lost AS MATERIALIZED (
    SELECT job.id, job.lease, job."lockedBy"
    FROM photo_generation_queue AS job
    WHERE job.status = 'processing'
      AND (job.run = ANY ($1)
           -- Some other program's: its lock is older than five minutes.
           OR (job.run IS NULL
               AND coalesce(job."lockedAt", job."updatedAt", job."createdAt", '-infinity')
                   < now() - interval '5 minutes')
           -- A run that has no row any more, and has not renewed the lock since.
           OR (NOT EXISTS (SELECT FROM photo_generation_workers AS worker WHERE worker.run = job.run)
               AND job.run IS NOT NULL
               AND coalesce(job."lockedAt", '-infinity') < now() - make_interval(secs => $2)))
),
locked AS MATERIALIZED (
    SELECT job.id, lost.lease, lost."lockedBy"
    FROM photo_generation_queue AS job
    -- Not =: an app may have inserted NULL.
    JOIN lost ON job.id = lost.id AND job.lease IS NOT DISTINCT FROM lost.lease
    WHERE job.status = 'processing'
    FOR NO KEY UPDATE OF job SKIP LOCKED
)
UPDATE photo_generation_queue AS job
SET status = 'pending',
    attempts = least(coalesce(job.attempts, 0), 2147483646) + 1,
    "lockedBy" = NULL,
    "lockedAt" = NULL,
    "errorCode" = 'worker_lost',
    "errorMessage" = 'The worker stopped in the middle of this job; it runs again.'
FROM locked
WHERE job.id = locked.id
RETURNING job.id::bigint AS "id!", job."jobId" AS job_id, coalesce(locked.lease, 0) AS "lease!",
          locked."lockedBy" AS holder, job."requestId" AS request_id, job.attempts AS "attempts!"
