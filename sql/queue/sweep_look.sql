-- queue/sweep_look: is there anything to sweep? One cheap statement per worker and interval, so
-- that an idle fleet asks nothing more. Called by db::workers::sweep.
-- $1 seconds after which a run that did not renew is dead.
SELECT
    EXISTS (SELECT FROM photo_generation_queue AS job
            LEFT JOIN photo_generation_workers AS worker ON worker.run = job.run
            WHERE job.status = 'processing'
              AND CASE WHEN job.run IS NULL
                       THEN coalesce(job."lockedAt", job."updatedAt", job."createdAt", '-infinity')
                            < now() - interval '5 minutes'
                       ELSE worker.run IS NULL
                            OR worker."renewedAt" < now() - make_interval(secs => $1) END
           ) AS "lost_jobs!",
    EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling'
              AND ("deadlineAt" < now() OR NOT EXISTS (
                  SELECT FROM photo_generation_workers AS worker
                  WHERE worker.run = photo_generation_calls.run
                    AND worker."renewedAt" >= now() - make_interval(secs => $1)))
           ) AS "orphaned_calls!",
    EXISTS (SELECT FROM photo_generation_batch_checks) AS "batches!",
    EXISTS (SELECT FROM photo_generation_images
            WHERE "hookError" IS NOT NULL AND "hookTries" < 10) AS "hooks!",
    EXISTS (SELECT FROM photo_generation_workers
            WHERE "renewedAt" < now() - make_interval(secs => $1 * 2)) AS "dead_workers!"
