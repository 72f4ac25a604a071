-- queue/claim: lease up to $3 due jobs to run $1, those of whoever had the least of the provider's time
-- first. Called by db::lease::claim.
-- $1 run, $2 label for people, $3 how many, $4 accounts ('provider:account'), $5 types (NULL: all),
-- $6 how far to look past rows that others hold locked, $7 models for whose calls enough wait here.
-- How it chooses stands with photo_generation_claim; here is only what a worker needs to know of each.
-- JSON as text, numbers as bigint: what a parser or a smaller type refuses must fail its own job,
-- not the claim.
SELECT (job).id::bigint AS "id!", (job).lease AS "lease!", (job)."jobId" AS "job_id!",
       (job)."teamId"::text AS team_id, (job)."userId"::text AS user_id, (job).type::text AS kind,
       (job)."batchId"::bigint AS batch_id, (job)."basePrompt"::text AS base_prompt,
       (job)."exampleImagePrompt"::text AS example_prompt, (job)."exampleImageUrl"::text AS example_url,
       (job)."trainingImageUrls"::text AS training_urls, (job)."aspectRatio"::text AS aspect_ratio,
       -- An app's column may hold more than ours; what is cut off is refused all the same.
       -- A row that says nothing asks for four; least would skip a NULL.
       greatest(least(coalesce(photo_generation_wanted(
                          (job).type::text, (job)."numImagesPerExample"::numeric, (job).payload::jsonb), 4),
                      9223372036854775807), -9223372036854775808)::bigint AS images,
       (job).provider::text AS provider,
       "calledModel" AS "model!", (job).payload::text AS payload, (job).attempts::bigint AS attempts,
       (job)."maxAttempts"::bigint AS max_attempts, (job)."requestId"::text AS "request_id!",
       -- Nothing can be subtracted from an infinity; 0 when it has passed.
       CASE WHEN (job)."expiresAt" < 'infinity'
            THEN extract(epoch FROM greatest((job)."expiresAt", now()) - now()) END::float8
           AS expires_in_seconds,
       EXISTS (SELECT FROM photo_generation_batches AS batch
               WHERE batch.id = (job)."batchId" AND batch.status::text IN ('completed', 'failed'))
           AS "reopens_batch!"
FROM photo_generation_claim($1, $2, $3, $4, $5, $6, $7) AS claimed
