-- ops/job: the story of one job, line by line in order of time.
-- When: somebody asks what became of it. Of a deleted job it tells the calls.
-- Which job: psql -v job=42 -f sql/ops/job.sql
-- Reads its rows by index.
\if :{?job}
\else
\warn 'Which job? psql -v job=42 -f sql/ops/job.sql'
\quit
\endif
SET TIME ZONE 'UTC';
WITH job AS (
    SELECT * FROM photo_generation_queue WHERE id = :job
),
story (step, at, event, detail) AS (
    SELECT 1, "createdAt", 'inserted',
           concat_ws(', ', "jobId", 'team ' || "teamId", 'user ' || "userId", 'batch ' || "batchId",
                     coalesce("imagesTotal", "numImagesPerExample") || ' images',
                     coalesce(model, 'default model'),
                     left(photo_generation_prompt(type::text, "basePrompt"::text, payload::jsonb), 80))
    FROM job
    UNION ALL
    SELECT 2, "startedAt", 'first claimed', NULL FROM job WHERE "startedAt" IS NOT NULL
    UNION ALL
    SELECT 3, call."startedAt", 'call for ' || coalesce('image ' || call.index, call.step),
           concat_ws(', ', 'attempt ' || call.attempt, 'worker ' || call.worker,
                     'account ' || call.account, call.model)
    FROM photo_generation_calls AS call WHERE call."jobId" = :job
    UNION ALL
    SELECT 4, call."endedAt", 'call for ' || coalesce('image ' || call.index, call.step) || ' ended: ' || call.state,
           concat_ws(', ', date_trunc('milliseconds', call."endedAt" - call."startedAt"),
                     call."errorCode", call.error, 'provider''s id ' || call."providerRequestId")
    FROM photo_generation_calls AS call
    WHERE call."jobId" = :job AND call."endedAt" IS NOT NULL
    UNION ALL
    SELECT 5, coalesce(image."storedAt", image."updatedAt"),
           'image ' || image.index || ' ' || image.state,
           concat_ws(', ', image."storageKey", image.width || ' x ' || image.height, image.error,
                     'hook: ' || image."hookError")
    FROM job JOIN photo_generation_images AS image ON image."jobId" = job.id
    UNION ALL
    SELECT 5, step."updatedAt", step.step || ' ' || step.state,
           concat_ws(', ', step."storageKey", step.result, step.error)
    FROM job JOIN photo_generation_steps AS step ON step."jobId" = job.id
    UNION ALL
    SELECT 6, coalesce("completedAt", "updatedAt", "createdAt"), 'now ' || status::text,
           concat_ws(', ', coalesce("imagesCompleted", 0) || ' images stored',
                     coalesce(attempts, 0) || ' attempts counted', 'on ' || "lockedBy",
                     'not before ' || "retryAt", "errorCode", "errorMessage")
    FROM job
)
SELECT at, event, detail
FROM story
ORDER BY step = 6, at, step;
