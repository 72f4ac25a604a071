-- queue/finish: the attempt ends the job. completed if any image is stored, else failed; images
-- that nobody will call again end failed. Called by db::lease::finish, after the batch is locked.
-- $1 job, $2 lease, $3 attempts to count (0 or 1), $4 error code, $5 error (both NULL: those of the
-- first image that is not stored).
WITH own AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
given_up AS (
    UPDATE photo_generation_images AS image
    -- What went wrong before says more, but for an expiry: without it there were time to try again.
    SET state = 'failed',
        error = CASE WHEN $4 = 'expired' THEN $5 ELSE coalesce(image.error, $5) END,
        "errorCode" = CASE WHEN $4 = 'expired' THEN $4 ELSE coalesce(image."errorCode", $4) END,
        "updatedAt" = now()
    FROM own
    WHERE image."jobId" = own.id AND image.state = 'planned'
),
-- As they stood before this statement: storing is over, and given_up changes none of these.
result AS (
    SELECT count(*) FILTER (WHERE state = 'stored') AS stored,
           jsonb_agg(coalesce(url, "storageKey") ORDER BY index) FILTER (WHERE state = 'stored') AS keys,
           (array_agg(error ORDER BY index) FILTER (WHERE error IS NOT NULL))[1] AS error,
           (array_agg("errorCode" ORDER BY index) FILTER (WHERE error IS NOT NULL))[1] AS code
    FROM photo_generation_images
    WHERE "jobId" = $1
)
UPDATE photo_generation_queue AS job
SET status = photo_generation_status(CASE WHEN result.stored > 0 THEN 'completed' ELSE 'failed' END),
    attempts = least(coalesce(job.attempts, 0), 2147483646) + $3,
    -- Of a job that never came to its plan the total stays unknown, not 0.
    "imagesTotal" = greatest(job."imagesTotal", nullif(result.stored, 0)),
    "imagesCompleted" = result.stored,
    "imageUrls" = coalesce(result.keys, job."imageUrls"),
    "errorMessage" = CASE WHEN result.stored = 0 THEN coalesce($5, result.error) END,
    "errorCode" = CASE WHEN result.stored = 0 THEN coalesce($4, result.code) END,
    "processedAt" = clock_timestamp()
FROM own CROSS JOIN result
WHERE job.id = own.id
RETURNING job.status::text AS "status!: Status", coalesce(job."imagesCompleted", 0) AS "stored!",
          job."errorCode" AS code, job."errorMessage" AS error,
          coalesce(job."webhookUrl" <> '', false) AS "has_webhook!"
