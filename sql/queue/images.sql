-- queue/images: the images of job $1 as an attempt finds them, each with the call that is in flight
-- or was left by a dead worker,
-- or whose picture waits in a spool. Called by db::ledger::plan.
SELECT image.index, image.state, call.id AS "call?", call.tenant AS "tenant?",
       call."jobUuid" AS "job_uuid?", call.spool IS NOT NULL AS "spooled!"
FROM photo_generation_images AS image
LEFT JOIN photo_generation_calls AS call ON call.id = image."callId" AND image.state = 'calling'
WHERE image."jobId" = $1
ORDER BY image.index
