-- queue/progress: how far the watched jobs are, oldest first. Called by db::jobs::progress, twice a
-- second for as long as somebody watches: one statement for all jobs, and little of each.
-- $1 ids, $2 batch (NULL: none).
-- As in queue/jobs: wide numbers, and no moment that a calendar cannot show or nothing can be
-- subtracted from.
SELECT id::bigint AS "id!", "jobId" AS job_id, status::text AS "status!: Status",
       left(photo_generation_prompt(type::text, "basePrompt"::text, payload::jsonb), 80) AS prompt,
       coalesce("imagesTotal", "numImagesPerExample", 4)::bigint AS "images_total!",
       coalesce("imagesCompleted", 0)::bigint AS "images_completed!",
       coalesce(attempts, 0)::bigint AS "attempts!",
       coalesce("maxAttempts", 5)::bigint AS "max_attempts!",
       "errorMessage"::text AS error, "errorCode"::text AS error_code,
       moment.retry AS retry_at,
       CASE WHEN status IN ('pending', 'rate_limited')
            THEN extract(epoch FROM moment.retry - now()) END::float8 AS retry_in_seconds,
       greatest(extract(epoch FROM coalesce(moment.completed, now()) - moment.created), 0)::float8
           AS "elapsed_seconds!"
FROM photo_generation_queue
CROSS JOIN LATERAL (
    SELECT CASE WHEN "retryAt" BETWEEN '0001-01-01' AND '9999-12-31'
                THEN "retryAt" END::timestamptz AS retry,
           CASE WHEN "createdAt" BETWEEN '0001-01-01' AND '9999-12-31'
                THEN "createdAt" END::timestamptz AS created,
           CASE WHEN "completedAt" BETWEEN '0001-01-01' AND '9999-12-31'
                THEN "completedAt" END::timestamptz AS completed
) AS moment
WHERE id = ANY ($1::bigint[]) OR "batchId" = $2::bigint
ORDER BY id
