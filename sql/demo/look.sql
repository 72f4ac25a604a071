-- demo/look: every job, newest first, with a row for each of its images whether it exists yet or
-- not. What the contact sheet and the progress bars show. Called by db::demo::look.
-- A hundred images at most: more than that no job may ask for, but a row can.
SELECT job.id AS "id!", job."batchId" AS batch_id, job.status::text AS "status!: Status",
       job."basePrompt" AS prompt, job."aspectRatio" AS aspect_ratio, job."errorMessage" AS error,
       job."createdAt" AS created_at,
       extract(epoch FROM job."retryAt" - now())::float8 AS retry_in_seconds,
       greatest(extract(epoch FROM coalesce(job."completedAt", now()) - job."createdAt"), 0)::float8
           AS elapsed_seconds,
       (SELECT count(*) FROM photo_generation_calls
        WHERE "jobId" = job.id AND state = 'limited') AS "limited!",
       wanted.index AS "index?", coalesce(image.state, 'planned') AS "state!: ImageState",
       image."storageKey" AS "key?", image.bytes AS "bytes?", image.width AS "width?",
       image.height AS "height?", image.error AS image_error,
       extract(epoch FROM call."endedAt" - call."startedAt")::float8 AS took_seconds
FROM photo_generation_queue AS job
LEFT JOIN LATERAL generate_series(
    1, least(coalesce(job."imagesTotal", job."numImagesPerExample", 4), 100)) AS wanted (index) ON true
LEFT JOIN photo_generation_images AS image ON image."jobId" = job.id AND image.index = wanted.index
LEFT JOIN photo_generation_calls AS call ON call.id = image."callId"
ORDER BY job.id DESC, wanted.index
