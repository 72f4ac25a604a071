-- queue/give_back: the attempt ends, the job does not. Called by db::lease::give_back.
-- $1 job, $2 lease, $3 status (pending or rate_limited), $4 attempts to count (0 or 1),
-- $5 seconds to wait (NULL: none), $6 counted from the next quota day instead of now,
-- $7 error code, $8 error (NULL: keep what is there).
UPDATE photo_generation_queue
SET status = photo_generation_status($3),
    attempts = least(coalesce(attempts, 0), 2147483646) + $4,
    "retryAt" = CASE WHEN $6 THEN photo_generation_next_quota_day() ELSE now() END
                + make_interval(secs => $5),
    "errorCode" = coalesce($7, "errorCode"),
    "errorMessage" = coalesce($8, "errorMessage"),
    "processedAt" = clock_timestamp()
WHERE id = $1 AND lease = $2 AND status = 'processing'
