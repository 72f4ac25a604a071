-- queue/drawn: the picture of a try-on is in storage, and is looked at before it counts. Called by
-- db::steps::drawn. $1 job, $2 lease, $3 its call, $4 its key, $5 provider's request id, $6 input tokens,
-- $7 output tokens, $8 input tokens of images, $9 output tokens of images.
-- The call stays open: whoever finds it after a crash finds its object, and the picture is never lost. But
-- its answer has come: nobody waits for it any more, the provider has room for another call, and what it
-- cost is known. No row: the lease is lost, or the steps are not free to be taken.
WITH own AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
call AS (
    UPDATE photo_generation_calls AS call
    SET accepted = true, "deadlineAt" = least(call."deadlineAt", now()), "providerRequestId" = $5,
        "inputTokens" = $6, "outputTokens" = $7, "inputImageTokens" = $8, "outputImageTokens" = $9,
        "costUsd" = photo_generation_cost(call.provider, call.account, call.model, $6, $8, $7, $9,
                                          call."costUsd")
    FROM own
    WHERE call.id = $3 AND call."jobId" = own.id AND call.state = 'calling'
    RETURNING call."jobId"
),
-- What was found out about a drawing that came to nothing says nothing of this one.
former AS (
    DELETE FROM photo_generation_steps AS step USING call
    WHERE step."jobId" = call."jobId" AND step.step IN ('redraw', 'recheck') AND step.state <> 'calling'
    RETURNING step."storageKey"
),
removal AS (
    INSERT INTO photo_generation_removals ("storageKey")
    SELECT "storageKey" FROM former WHERE "storageKey" IS NOT NULL
    ON CONFLICT DO NOTHING
)
INSERT INTO photo_generation_steps AS step ("jobId", step, "storageKey")
SELECT "jobId", 'check', $4 FROM call
ON CONFLICT ("jobId", step) DO UPDATE
SET state = 'planned', "callId" = NULL, ambiguous = 0, result = NULL, "storageKey" = EXCLUDED."storageKey",
    error = NULL, "errorCode" = NULL, "updatedAt" = now()
WHERE step.state <> 'calling'
