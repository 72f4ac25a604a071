-- queue/calling: the last gate before money. Called by db::ledger::calling; committed before the
-- request leaves, so that whatever happens then, the call is on record.
-- $1 job, $2 lease, $3 call, $4 image index, $5 run, $6 tenant, $7 provider, $8 account, $9 model,
-- $10 seconds until the deadline.
-- Says whether the call may be made, also when it is sent twice after a lost connection, and whether
-- it is the expiry that forbids it: whoever sets "expiresAt" to an earlier moment while the job runs is
-- heeded here. No row: the lease is lost. A copy that arrives when the call is already settled changes
-- nothing: the call comes first, since ON CONFLICT reads its newest version.
WITH own AS MATERIALIZED (
    SELECT id, lease, "jobId", attempts, coalesce("expiresAt" <= now(), false) AS expired
    FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
call AS (
    INSERT INTO photo_generation_calls AS call
        (id, "jobId", "jobUuid", tenant, index, lease, run, worker, attempt, provider, account,
         model, "deadlineAt")
    SELECT $3, own.id, own."jobId", $6, image.index, own.lease, $5,
           (SELECT concat_ws('@', label, host) FROM photo_generation_workers WHERE run = $5),
           least(coalesce(own.attempts, 0), 2147483646) + 1, $7, $8, $9,
           now() + make_interval(secs => $10)
    FROM own
    JOIN photo_generation_images AS image ON image."jobId" = own.id AND image.index = $4
    WHERE (image.state = 'planned' AND NOT own.expired)
       OR (image.state = 'calling' AND image."callId" = $3)
    ON CONFLICT (id) DO UPDATE SET "deadlineAt" = excluded."deadlineAt"
        WHERE call.state = 'calling'
    RETURNING call.index
),
image AS (
    UPDATE photo_generation_images AS image
    SET state = 'calling', "callId" = $3, "updatedAt" = now()
    FROM call
    WHERE image."jobId" = $1 AND image.index = call.index
      AND (image.state = 'planned' OR (image.state = 'calling' AND image."callId" = $3))
    RETURNING image.index
)
SELECT EXISTS (SELECT FROM image) AS "written!", own.expired AS "expired!"
FROM own
