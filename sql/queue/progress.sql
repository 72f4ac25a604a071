-- queue/progress: how far the watched jobs are, oldest first. Called by db::jobs::progress, twice a
-- second for as long as somebody watches: one statement for all jobs, and little of each.
-- $1 ids, $2 batch (NULL: none).
SELECT id::bigint AS "id!", "jobId" AS job_id, status::text AS "status!: Status",
       left("basePrompt", 80) AS prompt,
       coalesce("imagesTotal", "numImagesPerExample", 4)::integer AS "images_total!",
       coalesce("imagesCompleted", 0) AS "images_completed!",
       coalesce(attempts, 0) AS "attempts!", coalesce("maxAttempts", 5) AS "max_attempts!",
       "errorMessage" AS error, "errorCode" AS error_code,
       CASE WHEN isfinite("retryAt") THEN "retryAt"::timestamptz END AS retry_at,
       CASE WHEN status IN ('pending', 'rate_limited')
            THEN extract(epoch FROM "retryAt" - now()) END::float8 AS retry_in_seconds,
       greatest(extract(epoch FROM coalesce("completedAt", now()) - "createdAt"), 0)::float8
           AS "elapsed_seconds!"
FROM photo_generation_queue
WHERE id = ANY ($1::bigint[]) OR "batchId" = $2::bigint
ORDER BY id
