-- queue/sweep_look: which workers are there, and is there anything to sweep? One cheap statement per
-- worker and interval, so that an idle fleet asks nothing more. Called by db::sweep::look.
-- $1 seconds after which a run that did not renew is dead, $2 those after which a spool is gone,
-- $3 those after which the queue is walked over again for what is to be pruned, $4 those after which
-- messages to apps are forgotten, $5 those after which reservations of credits are looked at again.
-- One row per worker; without workers one row of NULLs. The litter is the same in all rows.
SELECT worker.run AS "run?", worker."renewedAt" AS "renewed_at?",
       EXISTS (SELECT FROM photo_generation_queue AS job
               WHERE job.status = 'processing' AND job.run = worker.run) AS "holds_jobs!",
       EXISTS (SELECT FROM photo_generation_calls AS call
               WHERE call.state = 'calling' AND call.spool IS NULL
                 AND call.run = worker.run) AS "has_calls!",
       (EXISTS (SELECT FROM photo_generation_queue AS job
                WHERE job.status = 'processing'
                  AND CASE WHEN job.run IS NULL
                      THEN coalesce(job."lockedAt", job."updatedAt", job."createdAt", '-infinity')
                           < now() - interval '5 minutes'
                      ELSE coalesce(job."lockedAt", '-infinity') < now() - make_interval(secs => $1)
                           AND NOT EXISTS (SELECT FROM photo_generation_workers AS other
                                           WHERE other.run = job.run) END)) AS "unowned_jobs!",
       (EXISTS (SELECT FROM photo_generation_calls AS call
                WHERE call.state = 'calling'
                  AND CASE WHEN call.spool IS NULL
                      THEN call."deadlineAt" < now()
                           OR NOT EXISTS (SELECT FROM photo_generation_workers AS other
                                          WHERE other.run = call.run)
                      ELSE greatest(call."deadlineAt",
                                    (SELECT spool."renewedAt" FROM photo_generation_spools AS spool
                                     WHERE spool.spool = call.spool))
                           < now() - make_interval(secs => $2) END)) AS "overdue_calls!",
       (EXISTS (SELECT FROM photo_generation_queue
                WHERE status IN ('pending', 'rate_limited') AND "expiresAt" <= now())) AS "expired_jobs!",
       (EXISTS (SELECT FROM photo_generation_batch_checks)) AS "batches!",
       (EXISTS (SELECT FROM photo_generation_images
                WHERE "hookError" IS NOT NULL AND "hookTryAt" <= now())) AS "hooks!",
       (EXISTS (SELECT FROM photo_generation_shares
                WHERE "emptySince" < now() - interval '2 minutes')) AS "empty_shares!",
       (EXISTS (SELECT FROM photo_generation_totals_due())) AS "totals!",
       (greatest(photo_generation_number('retentionCompletedDays'),
                 photo_generation_number('retentionFailedDays')) >= 1
        AND NOT EXISTS (SELECT FROM photo_generation_settings
                        WHERE key = 'pruning' AND "updatedAt" > now() - make_interval(secs => $3))
       ) IS TRUE AS "ended_jobs!",
       (EXISTS (SELECT FROM photo_generation_removals WHERE "tryAt" <= now())) AS "objects!",
       -- By the index, which EXISTS would leave aside while statistics say that there are many.
       ((SELECT true FROM photo_generation_webhooks
         WHERE "tenantLot" IS NOT NULL ORDER BY "tenantLot", "tryAt" LIMIT 1) IS TRUE) AS "messages!",
       ((SELECT true FROM photo_generation_webhooks
         WHERE NOT ready AND "tryAt" <= now() ORDER BY "tryAt" LIMIT 1) IS TRUE) AS "due_messages!",
       (EXISTS (SELECT FROM photo_generation_webhooks
                WHERE "createdAt" < now() - make_interval(secs => $4)
                  AND ("tryAt" IS NULL OR "triedAt" IS NULL))) AS "old_messages!",
       (NOT EXISTS (SELECT FROM photo_generation_settings
                    WHERE key = 'creditsSettled' AND "updatedAt" > now() - make_interval(secs => $5))
        AND EXISTS (SELECT FROM photo_generation_credit_reservations)) AS "reservations!",
       (EXISTS (SELECT FROM photo_generation_credit_refunds WHERE "tryAt" <= now())) AS "refunds!"
FROM (VALUES (1)) AS one (row)
LEFT JOIN photo_generation_workers AS worker ON true
