-- queue/claim: lease up to $3 due jobs to run $1. Called by db::lease::claim.
-- $1 run, $2 label for people, $3 how many, $4 accounts ('provider:account'), $5 types (NULL: all),
-- $6 how far to look past rows that others hold locked.
-- Reads safelight_place_idx and safelight_retry_idx, at most $6 rows of each per waiting
-- model; locks only the rows it takes and skips those that others hold. The bump of lease is the
-- trigger's. Nothing is claimed for a run that failed to renew for half the lease.
WITH candidates AS MATERIALIZED (
    SELECT job.id, job.place, models.name
    FROM photo_generation_waiting_models($4) AS models
    CROSS JOIN LATERAL (
        SELECT ranked.*, row_number() OVER (ORDER BY ranked.place, ranked.id) AS rank
        FROM (
            (SELECT id, type, photo_generation_place("createdAt", priority) AS place
             FROM photo_generation_queue
             WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
               AND photo_generation_model(model) = models.model
               AND ($5::text[] IS NULL OR coalesce(type, 'photo_generation') = ANY ($5))
             ORDER BY 3, id
             LIMIT $6)
            UNION ALL
            (SELECT id, type, photo_generation_place("createdAt", priority) AS place
             FROM photo_generation_queue
             WHERE status IN ('pending', 'rate_limited') AND "retryAt" <= now()
               AND photo_generation_model(model) = models.model
               AND ($5::text[] IS NULL OR coalesce(type, 'photo_generation') = ANY ($5))
             ORDER BY "retryAt"
             LIMIT $6)
        ) AS ranked
    ) AS job
    WHERE models.usable <= now()
      AND (job.rank = 1 OR NOT models.probing)   -- a blocked account is tried with one job
      AND EXISTS (SELECT FROM photo_generation_workers
                  WHERE run = $1 AND "renewedAt" > now() - interval '15 seconds')
    ORDER BY job.place, job.id
    LIMIT $6
),
-- Conditions are repeated on the locked row: it may have changed since the candidates were read.
-- A CTE, not IN (SELECT ... LIMIT): under a nested loop that form updated 20 rows for LIMIT 2.
due AS MATERIALIZED (
    SELECT job.id, candidates.name
    FROM candidates JOIN photo_generation_queue AS job ON job.id = candidates.id
    WHERE job.status IN ('pending', 'rate_limited')
      AND (job."retryAt" IS NULL OR job."retryAt" <= now())
    ORDER BY candidates.place, candidates.id
    LIMIT $3
    FOR NO KEY UPDATE OF job SKIP LOCKED
),
claimed AS (
    UPDATE photo_generation_queue AS job
    SET status = 'processing',
        run = $1,
        "lockedBy" = $2,
        "lockedAt" = now(),
        "retryAt" = NULL,
        "startedAt" = coalesce(job."startedAt", now()),
        "jobId" = coalesce(job."jobId", gen_random_uuid()),
        "requestId" = coalesce(job."requestId", gen_random_uuid()::text)
    FROM due
    WHERE job.id = due.id
    RETURNING job.*, due.name AS "calledModel"
),
-- A batch whose job runs again is generating again; in id order, as every lock on two batches.
finished_batches AS MATERIALIZED (
    SELECT batch.id FROM photo_generation_batches AS batch
    WHERE batch.id IN (SELECT "batchId" FROM claimed) AND batch.status::text IN ('completed', 'failed')
    ORDER BY batch.id
    FOR NO KEY UPDATE
),
reopened AS (
    UPDATE photo_generation_batches AS batch
    SET status = 'generating', "completedAt" = NULL
    FROM finished_batches
    WHERE batch.id = finished_batches.id
)
-- JSON as text, numbers as bigint: what a parser or a smaller type refuses must fail its own job,
-- not the claim.
SELECT id::bigint AS "id!", lease AS "lease!", "jobId" AS "job_id!",
       "teamId"::text AS team_id, "userId"::text AS user_id, type::text AS kind,
       "batchId"::bigint AS batch_id, "basePrompt"::text AS base_prompt,
       "exampleImagePrompt"::text AS example_prompt, "exampleImageUrl"::text AS example_url,
       "trainingImageUrls"::text AS training_urls, "aspectRatio"::text AS aspect_ratio,
       -- An app's column may hold more than ours; what is cut off is refused all the same.
       CASE WHEN "numImagesPerExample" IS NOT NULL
            THEN greatest(least("numImagesPerExample"::numeric, 9223372036854775807), -9223372036854775808)
       END::bigint
           AS images,
       provider::text AS provider,
       "calledModel"::text AS "model!", payload::text AS payload, attempts::bigint AS attempts,
       "maxAttempts"::bigint AS max_attempts, "requestId"::text AS "request_id!",
       -- Nothing can be subtracted from an infinity; 0 when it has passed.
       CASE WHEN "expiresAt" < 'infinity'
            THEN extract(epoch FROM greatest("expiresAt", now()) - now()) END::float8
           AS expires_in_seconds
FROM claimed
