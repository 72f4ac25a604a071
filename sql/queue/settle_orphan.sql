-- queue/settle_orphan: settle one call of a dead lease, or one whose picture waited in a spool, once.
-- Called by db::ledger::settle_orphan.
-- $1 call, $2 job, $3 the call's lease, $4 key of the object that was found (NULL: none, the call is
-- ambiguous), $5 mime, $6 bytes, $7 width, $8 height, $9 sha256, $10 what apps are shown (NULL: the
-- key), $11 the spool of the call as it was read (NULL: none): what was kept in one meanwhile is not lost,
-- $12 the call that made the picture, which may be the second drawing of a try-on (NULL: none was found),
-- $13 $14 code and message of what became of the call, if there is no picture and there was no spool, $15 not
-- where the job only waits: its next attempt settles the call.
-- The job's row is locked first, so that a claim of it and this statement come one after the other;
-- if the job is already processing under another lease, that attempt settles the call itself. But not a
-- spooled one: no attempt touches it, so its picture is recorded whoever holds the job.
WITH job AS MATERIALIZED (
    SELECT id, status, lease, "errorCode" AS code FROM photo_generation_queue
    WHERE id = $2 FOR NO KEY UPDATE
),
call AS (
    UPDATE photo_generation_calls AS call
    SET state = CASE WHEN $4::text IS NULL THEN 'ambiguous' ELSE 'stored' END,
        accepted = CASE WHEN $4::text IS NULL THEN call.accepted ELSE true END,
        "endedAt" = now(),
        "errorCode" = CASE WHEN $4::text IS NULL AND call.spool IS NULL THEN $13
                           WHEN $4::text IS NULL THEN 'spool_lost' END,
        error = CASE WHEN $4::text IS NULL AND call.spool IS NULL
                     THEN $14
                     WHEN $4::text IS NULL
                     THEN 'The picture was kept on a machine that is gone.' END
    WHERE call.id = $1 AND call.state = 'calling'
      AND ($4::text IS NOT NULL OR call.spool IS NOT DISTINCT FROM $11)
      AND (($4::text IS NOT NULL AND call.spool IS NOT NULL)
           OR NOT EXISTS (SELECT FROM job
                          WHERE job.status = 'processing'
                             OR ($15 AND job.status IN ('pending', 'rate_limited'))))
    RETURNING call."jobId", call.index, call.step
),
step AS (
    UPDATE photo_generation_steps AS step
    SET state = CASE WHEN $4::text IS NOT NULL THEN 'stored'
                     WHEN step.ambiguous >= 1 THEN 'ambiguous' ELSE 'planned' END,
        ambiguous = step.ambiguous + CASE WHEN $4::text IS NULL THEN 1 ELSE 0 END,
        "storageKey" = coalesce($4, step."storageKey"), "updatedAt" = now()
    FROM call
    WHERE step."jobId" = call."jobId" AND step.step = call.step
      AND step.state = 'calling' AND step."callId" = $1
),
image AS (
    UPDATE photo_generation_images AS image
    SET state = CASE WHEN $4::text IS NOT NULL THEN 'stored'
                     -- Of a job that has ended nothing is planned any more.
                     WHEN image.ambiguous >= 1
                       OR EXISTS (SELECT FROM job
                                  WHERE job.status IN ('completed', 'failed', 'canceled'))
                     THEN 'ambiguous' ELSE 'planned' END,
        ambiguous = image.ambiguous + CASE WHEN $4::text IS NULL THEN 1 ELSE 0 END,
        "callId" = coalesce($12, image."callId"), "storageKey" = $4, url = $10, "mimeType" = $5, bytes = $6, width = $7, height = $8, sha256 = $9,
        error = CASE WHEN $4::text IS NULL THEN image.error END,
        "errorCode" = CASE WHEN $4::text IS NULL THEN image."errorCode" END,
        "storedAt" = CASE WHEN $4::text IS NOT NULL THEN now() END, "updatedAt" = now()
    FROM call
    WHERE image."jobId" = call."jobId" AND image.index = call.index
      AND image.state = 'calling' AND image."callId" = $1
    RETURNING image."jobId", image.state
),
-- Of a job that was deleted there is no step any more, but other jobs wait for what it has bought.
garment AS (
    UPDATE photo_generation_garments AS garment
    SET "storageKey" = $4
    FROM call
    WHERE garment."callId" = $1 AND garment."storageKey" IS NULL
),
-- As in queue/stored.
removal AS (
    INSERT INTO photo_generation_removals ("storageKey")
    SELECT step."storageKey" FROM image JOIN photo_generation_steps AS step ON step."jobId" = image."jobId"
    WHERE image.state = 'stored' AND step.step IN ('check', 'redraw') AND step."storageKey" <> $4
    ON CONFLICT DO NOTHING
),
late AS (
    SELECT job.status = 'failed' AND job.code = 'expired' AS completes FROM job
),
progress AS (
    UPDATE photo_generation_queue AS row
    SET "imagesCompleted" = least(coalesce(row."imagesCompleted", 0), 2147483646) + 1,
        "imagesTotal" = greatest(row."imagesTotal",
                                 least(coalesce(row."imagesCompleted", 0), 2147483646) + 1),
        "imageUrls" = coalesce(row."imageUrls", '[]') || to_jsonb(coalesce($10::text, $4::text)),
        -- It expired without a picture, as far as was known then.
        status = CASE WHEN late.completes THEN photo_generation_status('completed') ELSE row.status END,
        "errorCode" = CASE WHEN late.completes THEN NULL ELSE row."errorCode" END,
        "errorMessage" = CASE WHEN late.completes THEN NULL ELSE row."errorMessage" END,
        "updatedAt" = now()
    FROM image CROSS JOIN late
    WHERE row.id = image."jobId" AND image.state = 'stored' AND row.lease >= $3
)
SELECT count(*) AS "settled!" FROM call
