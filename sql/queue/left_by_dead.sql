-- queue/left_by_dead: does a job wait to be taken back? Asked by a drain that found nothing due.
-- $1 our own run, which works on nothing any more, $2 seconds since that is so: whoever holds a job
-- must have said since then that it lives, since a worker that died a second ago looks alive.
SELECT EXISTS (
    SELECT FROM photo_generation_queue AS job
    LEFT JOIN photo_generation_workers AS worker ON worker.run = job.run
    WHERE job.status = 'processing'
      AND CASE WHEN job.run IS NULL       -- some other program's: only when its lock has expired
               THEN coalesce(job."lockedAt", job."updatedAt", job."createdAt", '-infinity')
                    < now() - interval '5 minutes'
               ELSE worker.run IS NULL OR job.run = $1
                    OR worker."renewedAt" < now() - make_interval(secs => $2) END
) AS "left!"
