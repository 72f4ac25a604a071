-- queue/retry: new jobs with the wishes of failed or canceled ones, which stay as they are. Called
-- by db::jobs::retry.
-- $1 ids; of a request over HTTP, which is about one: $2 its id, $3 its idempotency key, $4 its hash.
-- NULL: none. A key that is taken makes no job.
-- What the old job went through is not copied, nor its idempotency key, nor when it would expire.
INSERT INTO photo_generation_queue
    ("batchId", "userId", "modelId", "exampleImageId", "exampleImageUrl", "exampleImagePrompt",
     "trainingImageUrls", "basePrompt", "aspectRatio", "numImagesPerExample", glasses, "hairColor",
     "hairStyle", backgrounds, styles, "maxAttempts", type, "teamId", provider, model, priority,
     payload, metadata, "webhookUrl", "retryOf", "requestId", "idempotencyKey", "requestHash")
SELECT "batchId", "userId", "modelId", "exampleImageId", "exampleImageUrl", "exampleImagePrompt",
       "trainingImageUrls", "basePrompt", "aspectRatio", "numImagesPerExample", glasses, "hairColor",
       "hairStyle", backgrounds, styles, "maxAttempts", type, "teamId", provider, model, priority,
       payload, metadata, "webhookUrl", "jobId", coalesce($2, gen_random_uuid()::text), $3,
       CASE WHEN $3::text IS NOT NULL THEN $4::text END
FROM photo_generation_queue
WHERE id = ANY ($1::bigint[]) AND status IN ('failed', 'canceled')
ORDER BY id
ON CONFLICT ((coalesce('team:' || nullif("teamId"::text, ''), 'user:' || nullif("userId"::text, ''), 'none')),
             "idempotencyKey")
    WHERE "idempotencyKey" IS NOT NULL DO NOTHING
RETURNING id::bigint AS "id!", "jobId" AS "job_id!", "retryOf" AS original,
          status::text AS "status!: Status",
          CASE WHEN "createdAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN "createdAt" END::timestamptz
              AS created_at
