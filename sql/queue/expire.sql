-- queue/expire: end jobs that waited too long: completed if any image is stored, else failed. Called
-- by db::sweep::expire after queue/expired has locked them.
-- $1 jobs, $2 error code, $3 error.
-- Images that nobody will call any more end failed. One whose call a dead worker left open stays as
-- it is: queue/settle_orphan settles it, and completes the job if the picture is found.
-- 500 jobs of four images take some 60 ms, also among 300,000 jobs and a million images: all by index.
WITH given_up AS (
    UPDATE photo_generation_images AS image
    SET state = 'failed', error = $3, "errorCode" = $2, "updatedAt" = now()
    FROM unnest($1::bigint[]) AS expired (id)
    WHERE image."jobId" = expired.id AND image.state = 'planned'
)
UPDATE photo_generation_queue AS job
SET status = photo_generation_status(CASE WHEN result.stored > 0 THEN 'completed' ELSE 'failed' END),
    -- Of a job that never came to its plan the total stays unknown, not 0.
    "imagesTotal" = greatest(job."imagesTotal", nullif(result.stored, 0)),
    "imagesCompleted" = result.stored,
    "imageUrls" = coalesce(result.keys, job."imageUrls"),
    "errorMessage" = CASE WHEN result.stored = 0 THEN $3 END,
    "errorCode" = CASE WHEN result.stored = 0 THEN $2 END,
    "retryAt" = NULL
FROM unnest($1::bigint[]) AS expired (id)
CROSS JOIN LATERAL (
    SELECT count(*) AS stored, jsonb_agg(coalesce(image.url, image."storageKey") ORDER BY image.index) AS keys
    FROM photo_generation_images AS image
    WHERE image."jobId" = expired.id AND image.state = 'stored'
) AS result
WHERE job.id = expired.id AND job.status IN ('pending', 'rate_limited')
RETURNING job.id::bigint AS "id!", job."jobId" AS job_id, job."requestId"::text AS request_id,
          result.stored AS "images!"
