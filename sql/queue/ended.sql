-- queue/ended: a call ended without a result. Called by db::ledger::ended, by the attempt that
-- made the call and by the next one for the calls of a dead lease.
-- $1 job, $2 lease, $3 call, $4 state of the call, $5 accepted (NULL: unknown), $6 next state of the
-- image or step (NULL: planned once more, then for good ambiguous, or failed where the same error came
-- last time), $7 error code, $8 error, $9 provider's request id; the tokens that it used all the same
-- (NULL: not said), $10 input, $11 input of images, $12 output, $13 output of images.
-- Returns the new state of image or step; no row when the lease is lost or the call was settled before.
WITH own AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
call AS (
    UPDATE photo_generation_calls AS call
    SET state = $4, accepted = $5, "endedAt" = now(), "errorCode" = $7, error = $8,
        "providerRequestId" = $9,
        -- What was not taken is not billed; what is unknown may be.
        "costUsd" = CASE WHEN $5 IS DISTINCT FROM false
                         THEN photo_generation_cost(call.provider, call.account, call.model,
                                                    $10, $11, $12, $13, call."costUsd") END,
        "inputTokens" = $10, "inputImageTokens" = $11, "outputTokens" = $12, "outputImageTokens" = $13
    FROM own
    WHERE call.id = $3 AND call."jobId" = own.id AND call.state = 'calling'
      -- Kept by its worker, which had lost the job, while the next attempt looked for its object.
      AND call.spool IS NULL
    RETURNING call."jobId", call.index, call.step
),
step AS (
    UPDATE photo_generation_steps AS step
    SET state = coalesce($6, CASE WHEN $4 = 'ambiguous' AND step.ambiguous >= 1 THEN 'ambiguous'
                                  WHEN $4 <> 'ambiguous' AND step."errorCode" = $7 THEN 'failed'
                                  ELSE 'planned' END),
        ambiguous = step.ambiguous + CASE WHEN $4 = 'ambiguous' THEN 1 ELSE 0 END,
        error = $8, "errorCode" = $7, "updatedAt" = now()
    FROM call
    WHERE step."jobId" = call."jobId" AND step.step = call.step
      AND step.state = 'calling' AND step."callId" = $3
    RETURNING step.state
),
image AS (
    UPDATE photo_generation_images AS image
    SET state = coalesce($6, CASE WHEN $4 = 'ambiguous' AND image.ambiguous >= 1 THEN 'ambiguous'
                                  WHEN $4 <> 'ambiguous' AND image."errorCode" = $7 THEN 'failed'
                                  ELSE 'planned' END),
        ambiguous = image.ambiguous + CASE WHEN $4 = 'ambiguous' THEN 1 ELSE 0 END,
        error = $8, "errorCode" = $7, "updatedAt" = now()
    FROM call
    WHERE image."jobId" = call."jobId" AND image.index = call.index
      AND image.state = 'calling' AND image."callId" = $3
    RETURNING image.state
)
SELECT state AS "state!" FROM image UNION ALL SELECT state FROM step
