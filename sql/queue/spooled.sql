-- queue/spooled: the picture of a call is paid for, and waits in a spool until the storage takes it.
-- Called by db::ledger::spooled after the file is there: by the worker that made the call, and by whoever
-- finds the file of one that died before it came to this.
-- $1 call, $2 spool, $3 worker (label@host), $4 provider's request id, $5 input tokens, $6 output tokens,
-- $7 input tokens of images, $8 output tokens of images (NULL: not known here).
-- Under no lease: what is said is where a paid picture lies, which is so whoever has the job, and nothing
-- but the call's own row says it. Image and job stay as they are. No row: the call was settled before.
-- The answer has come, so nobody waits for it any more: the deadline is when it came, which is also
-- until when the provider's time is charged.
WITH call AS (
    UPDATE photo_generation_calls
    SET spool = $2, accepted = true,
        "deadlineAt" = CASE WHEN spool IS NULL THEN least("deadlineAt", now()) ELSE "deadlineAt" END,
        "providerRequestId" = coalesce($4, "providerRequestId"),
        "inputTokens" = coalesce($5, "inputTokens"), "outputTokens" = coalesce($6, "outputTokens"),
        "inputImageTokens" = coalesce($7, "inputImageTokens"),
        "outputImageTokens" = coalesce($8, "outputImageTokens"),
        -- Once: from now on the totals of the day may have it.
        "costUsd" = CASE WHEN spool IS NULL
                         THEN photo_generation_cost(provider, account, model, $5, $7, $6, $8, "costUsd")
                         ELSE "costUsd" END
    WHERE id = $1 AND state = 'calling'
    RETURNING id
),
renewed AS (
    INSERT INTO photo_generation_spools AS spool (spool, worker)
    SELECT $2, $3 FROM call
    -- Forty pictures that come at once need not wait for each other here.
    ON CONFLICT (spool) DO UPDATE SET "renewedAt" = now()
    WHERE spool."renewedAt" < now() - interval '1 second'
)
SELECT count(*) AS "kept!" FROM call
