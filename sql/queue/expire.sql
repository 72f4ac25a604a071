-- queue/expire: end jobs that waited too long: completed if any image is stored, else failed. Called
-- by db::sweep::expire after queue/expired has locked them.
-- $1 jobs, $2 error code, $3 error.
-- Images that nobody will call any more end failed. One whose call a dead worker left open stays as
-- it is: queue/settle_orphan settles it, and completes the job if the picture is found.
WITH given_up AS (
    UPDATE photo_generation_images
    SET state = 'failed', error = $3, "errorCode" = $2, "updatedAt" = now()
    WHERE "jobId" = ANY ($1::bigint[]) AND state = 'planned'
),
result AS MATERIALIZED (
    SELECT "jobId", count(*) AS stored, jsonb_agg("storageKey" ORDER BY index) AS keys
    FROM photo_generation_images
    WHERE "jobId" = ANY ($1::bigint[]) AND state = 'stored'
    GROUP BY "jobId"
)
UPDATE photo_generation_queue AS job
SET status = photo_generation_status(CASE WHEN result.stored > 0 THEN 'completed' ELSE 'failed' END),
    "imagesTotal" = greatest(job."imagesTotal", result.stored),
    "imagesCompleted" = coalesce(result.stored, 0),
    "imageUrls" = coalesce(result.keys, job."imageUrls"),
    "errorMessage" = CASE WHEN result.stored > 0 THEN NULL ELSE $3 END,
    "errorCode" = CASE WHEN result.stored > 0 THEN NULL ELSE $2 END,
    "retryAt" = NULL
FROM unnest($1::bigint[]) AS expired (id)
LEFT JOIN result ON result."jobId" = expired.id
WHERE job.id = expired.id AND job.status IN ('pending', 'rate_limited')
