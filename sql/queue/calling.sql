-- queue/calling: the last gate before money. Called by db::ledger::calling; committed before the
-- request leaves, so that whatever happens then, the call is on record.
-- $1 job, $2 lease, $3 call, $4 image index, $5 run, $6 tenant, $7 provider, $8 account, $9 model,
-- $10 seconds until the deadline.
-- Says one row when the call may be made, also when it is sent twice after a lost connection.
WITH own AS MATERIALIZED (
    SELECT id, lease, "jobId", attempts FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
image AS (
    UPDATE photo_generation_images AS image
    SET state = 'calling', "callId" = $3, "updatedAt" = now()
    FROM own
    WHERE image."jobId" = own.id AND image.index = $4
      AND (image.state = 'planned' OR (image.state = 'calling' AND image."callId" = $3))
    RETURNING image.index
)
INSERT INTO photo_generation_calls
    (id, "jobId", "jobUuid", tenant, index, lease, run, attempt, provider, account, model, "deadlineAt")
SELECT $3, own.id, own."jobId", $6, image.index, own.lease, $5, coalesce(own.attempts, 0) + 1,
       $7, $8, $9, now() + make_interval(secs => $10)
FROM own CROSS JOIN image
ON CONFLICT (id) DO UPDATE SET id = excluded.id
