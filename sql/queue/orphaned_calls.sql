-- queue/orphaned_calls: calls that no living attempt will settle: their job is gone, or not
-- processing under their lease, and their worker is dead or their deadline has passed. Called by
-- db::workers::sweep; each is then looked up in storage and settled by queue/settle_orphan.
-- $1 seconds after which a run that did not renew is dead.
SELECT call.id, call."jobId" AS job, call."jobUuid" AS job_uuid, call.tenant, call.index AS "index!",
       call.lease
FROM photo_generation_calls AS call
LEFT JOIN photo_generation_queue AS job ON job.id = call."jobId"
LEFT JOIN photo_generation_workers AS worker ON worker.run = call.run
WHERE call.state = 'calling' AND call.index IS NOT NULL
  AND (job.id IS NULL OR job.status <> 'processing' OR job.lease <> call.lease)
  AND (call."deadlineAt" < now() OR worker.run IS NULL
       OR worker."renewedAt" < now() - make_interval(secs => $1))
LIMIT 100
