-- queue/steps: the steps of job $1 as an attempt finds them, each with the call that is in flight or was
-- left by a dead worker, or whose picture waits in a spool; and the one that made it. Called by db::steps.
SELECT step.step, step.state, step.result::text AS result, step."storageKey" AS storage_key,
       step."callId" AS made_by,
       call.id AS "call?", call.tenant AS "tenant?", call."jobUuid" AS "job_uuid?",
       call.spool IS NOT NULL AS "spooled!"
FROM photo_generation_steps AS step
LEFT JOIN photo_generation_calls AS call ON call.id = step."callId" AND step.state = 'calling'
WHERE step."jobId" = $1
ORDER BY step.step
