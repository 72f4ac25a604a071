-- queue/orphaned_calls: calls that no living attempt will settle: their job is gone or not processing
-- (a processing one settles its calls itself), and their worker is dead or their deadline has
-- passed. Called by db::sweep; each is then looked up in storage and settled by queue/settle_orphan.
-- $1 the runs that this worker has watched and found dead, $2 seconds after which a spool that nobody
-- renews is gone. A call whose picture waits in a spool is the spool's, until that is gone.
SELECT call.id, call."jobId" AS job, call."jobUuid" AS job_uuid, call.tenant, call.index, call.step,
       call.lease, call.attempt, call.account, call.model, call.spool
FROM photo_generation_calls AS call
LEFT JOIN photo_generation_queue AS job ON job.id = call."jobId"
WHERE call.state = 'calling'
  AND (job.id IS NULL OR job.status <> 'processing')
  AND CASE WHEN call.spool IS NULL
           THEN call."deadlineAt" < now() OR call.run = ANY ($1)
                OR NOT EXISTS (SELECT FROM photo_generation_workers AS worker WHERE worker.run = call.run)
           ELSE greatest(call."deadlineAt", (SELECT "renewedAt" FROM photo_generation_spools AS spool
                                             WHERE spool.spool = call.spool))
                < now() - make_interval(secs => $2) END
ORDER BY call."deadlineAt"
LIMIT 100
