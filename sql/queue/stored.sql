-- queue/stored: the picture is in storage; say so in ledger, result and progress, all or nothing.
-- Called by db::ledger::stored, by the attempt that made the call and by the next one when it finds
-- the object of a dead lease's call.
-- $1 job, $2 lease, $3 call, $4 key, $5 mime, $6 bytes, $7 width, $8 height, $9 sha256,
-- $10 provider's request id, $11 input tokens, $12 output tokens, $13 what apps are shown (NULL: the key),
-- $14 input tokens of images, $15 output tokens of images, $16 the call that made the picture: of a try-on
-- that was drawn twice it may be another than the one that is settled. The other drawing is nobody's then.
-- Tokens that are not said (NULL) stay as they are: queue/drawn may have said them.
WITH own AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
call AS (
    UPDATE photo_generation_calls AS call
    SET state = 'stored', accepted = true, "endedAt" = now(), "providerRequestId" = coalesce($10, call."providerRequestId"),
        "inputTokens" = coalesce($11, call."inputTokens"),
        "outputTokens" = coalesce($12, call."outputTokens"),
        "inputImageTokens" = coalesce($14, call."inputImageTokens"),
        "outputImageTokens" = coalesce($15, call."outputImageTokens"),
        "costUsd" = photo_generation_cost(call.provider, call.account, call.model,
                                          $11, $14, $12, $15, call."costUsd")
    FROM own
    WHERE call.id = $3 AND call."jobId" = own.id AND call.state = 'calling'
    RETURNING call."jobId", call.index
),
image AS (
    UPDATE photo_generation_images AS image
    SET state = 'stored', "callId" = $16, "storageKey" = $4, url = $13, "mimeType" = $5, bytes = $6, width = $7, height = $8,
        sha256 = $9, error = NULL, "errorCode" = NULL, "storedAt" = now(), "updatedAt" = now()
    FROM call
    WHERE image."jobId" = call."jobId" AND image.index = call.index
      AND image.state = 'calling' AND image."callId" = $3
    RETURNING image."jobId"
),
removal AS (
    INSERT INTO photo_generation_removals ("storageKey")
    SELECT step."storageKey" FROM image JOIN photo_generation_steps AS step ON step."jobId" = image."jobId"
    WHERE step.step IN ('check', 'redraw') AND step."storageKey" <> $4
    ON CONFLICT DO NOTHING
)
UPDATE photo_generation_queue AS job
SET "imagesCompleted" = least(coalesce(job."imagesCompleted", 0), 2147483646) + 1,
    -- Whatever hands did to the counters must not keep a paid picture from being recorded.
    "imagesTotal" = greatest(job."imagesTotal",
                             least(coalesce(job."imagesCompleted", 0), 2147483646) + 1),
    -- In the order of finishing for now; queue/finish writes them in order of index.
    "imageUrls" = coalesce(job."imageUrls", '[]') || to_jsonb(coalesce($13::text, $4::text)),
    "updatedAt" = now()
FROM own CROSS JOIN image
WHERE job.id = own.id
