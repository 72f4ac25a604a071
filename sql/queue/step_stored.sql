-- queue/step_stored: a step has found what it was to find; say so in the ledger and in its row, both or
-- neither. Called by db::steps::stored, by the attempt that made the call and by the next one when it
-- finds the object of a dead lease's call.
-- $1 job, $2 lease, $3 call, $4 result as JSON, $5 key of its picture (one of them), $6 provider's
-- request id, $7 input tokens, $8 output tokens, $9 input tokens of images, $10 output tokens of images.
WITH own AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
call AS (
    UPDATE photo_generation_calls AS call
    SET state = 'stored', accepted = true, "endedAt" = now(), "providerRequestId" = $6,
        "inputTokens" = $7, "outputTokens" = $8, "inputImageTokens" = $9, "outputImageTokens" = $10,
        "costUsd" = photo_generation_cost(call.provider, call.account, call.model, $7, $9, $8, $10,
                                          call."costUsd")
    FROM own
    WHERE call.id = $3 AND call."jobId" = own.id AND call.state = 'calling'
    RETURNING call."jobId", call.step
)
UPDATE photo_generation_steps AS step
SET state = 'stored', result = $4::text::jsonb, "storageKey" = coalesce($5, step."storageKey"), error = NULL, "errorCode" = NULL,
    "updatedAt" = now()
FROM call
WHERE step."jobId" = call."jobId" AND step.step = call.step
  AND step.state = 'calling' AND step."callId" = $3
