-- queue/retry: new jobs with the wishes of failed or canceled ones, which stay as they are. Called
-- by db::jobs::retry.
-- $1 ids.
-- What the old job went through is not copied, nor its idempotency key, nor when it would expire.
INSERT INTO photo_generation_queue
    ("batchId", "userId", "modelId", "exampleImageId", "exampleImageUrl", "exampleImagePrompt",
     "trainingImageUrls", "basePrompt", "aspectRatio", "numImagesPerExample", glasses, "hairColor",
     "hairStyle", backgrounds, styles, "maxAttempts", type, "teamId", provider, model, priority,
     payload, metadata, "retryOf")
SELECT "batchId", "userId", "modelId", "exampleImageId", "exampleImageUrl", "exampleImagePrompt",
       "trainingImageUrls", "basePrompt", "aspectRatio", "numImagesPerExample", glasses, "hairColor",
       "hairStyle", backgrounds, styles, "maxAttempts", type, "teamId", provider, model, priority,
       payload, metadata, "jobId"
FROM photo_generation_queue
WHERE id = ANY ($1::bigint[]) AND status IN ('failed', 'canceled')
ORDER BY id
RETURNING id::bigint AS "id!", "jobId" AS "job_id!", "retryOf" AS original
