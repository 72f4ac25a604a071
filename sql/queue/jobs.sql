-- queue/jobs: jobs as people see them, newest first. Called by db::jobs::find and list.
-- $1 uuid, $2 id, $3 states (empty: all), $4 error code, $5 batch, $6 created within seconds,
-- $7 at most. NULL does not filter.
SELECT id::bigint AS "id!", "jobId" AS job_id, "batchId"::bigint AS batch_id,
       coalesce(type, 'photo_generation') AS "kind!", status::text AS "status!: Status",
       "teamId"::text AS team_id, "userId"::text AS user_id,
       "basePrompt"::text AS prompt, "aspectRatio"::text AS aspect_ratio, model::text AS model,
       priority::text AS priority,
       coalesce("imagesTotal", "numImagesPerExample", 4)::integer AS "images_total!",
       coalesce("imagesCompleted", 0) AS "images_completed!", "imageUrls" AS image_urls,
       coalesce(attempts, 0) AS "attempts!", coalesce("maxAttempts", 5) AS "max_attempts!",
       CASE WHEN isfinite("retryAt") THEN "retryAt"::timestamptz END AS retry_at,
       "lockedBy" AS locked_by, "errorMessage" AS error,
       "errorCode" AS error_code, "retryOf" AS retry_of, "requestId" AS request_id, metadata,
       CASE WHEN isfinite("createdAt") THEN "createdAt"::timestamptz END AS created_at,
       CASE WHEN isfinite("startedAt") THEN "startedAt"::timestamptz END AS started_at,
       CASE WHEN isfinite("completedAt") THEN "completedAt"::timestamptz END AS completed_at,
       now() AS "read_at!"
FROM photo_generation_queue
WHERE ($1::uuid IS NULL OR "jobId" = $1)
  AND ($2::bigint IS NULL OR id = $2)
  AND (cardinality($3::text[]) = 0 OR status::text = ANY ($3))
  AND ($4::text IS NULL OR "errorCode" = $4)
  AND ($5::bigint IS NULL OR "batchId" = $5)
  AND ($6::float8 IS NULL OR "createdAt" > now() - make_interval(secs => $6))
ORDER BY id DESC
LIMIT $7
