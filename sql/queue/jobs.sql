-- queue/jobs: jobs as people see them, newest first. Called by db::jobs::list.
-- $1 uuids, $2 ids (a job may be in either), $3 states (empty: all), $4 error code, $5 batch, $6 created
-- within seconds, $7 tenant, $8 with a smaller id than this, $9 key and $10 value in metadata, $11 at
-- most. NULL does not filter. Each call is planned for what it asks: by job, by tenant newest first
-- (safelight_tenant_jobs_idx), or by batch.
-- One odd row must not hide the others: JSON is read as text, numbers as bigint (an app's own table
-- may have wider ones), and moments that a calendar cannot show as none.
SELECT id::bigint AS "id!", "jobId" AS job_id, "batchId"::bigint AS batch_id,
       coalesce(type::text, 'photo_generation') AS "kind!", status::text AS "status!: Status",
       "teamId"::text AS team_id, "userId"::text AS user_id,
       photo_generation_prompt(type::text, "basePrompt"::text, payload::jsonb) AS prompt,
       "aspectRatio"::text AS aspect_ratio,
       provider::text AS provider, model::text AS model, priority::text AS priority,
       coalesce("imagesTotal", "numImagesPerExample", 4)::bigint AS "images_total!",
       coalesce("imagesCompleted", 0)::bigint AS "images_completed!",
       "imageUrls"::text AS "image_urls: Json",
       coalesce(attempts, 0)::bigint AS "attempts!",
       coalesce("maxAttempts", 5)::bigint AS "max_attempts!",
       CASE WHEN "retryAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN "retryAt" END::timestamptz
           AS retry_at,
       CASE WHEN "expiresAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN "expiresAt" END::timestamptz
           AS expires_at,
       "lockedBy"::text AS locked_by, "errorMessage"::text AS error, "errorCode"::text AS error_code,
       "retryOf" AS retry_of, "requestId"::text AS request_id,
       "idempotencyKey"::text AS idempotency_key, metadata::text AS "metadata: Json",
       CASE WHEN "createdAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN "createdAt" END::timestamptz
           AS created_at,
       CASE WHEN "startedAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN "startedAt" END::timestamptz
           AS started_at,
       CASE WHEN "completedAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN "completedAt" END::timestamptz
           AS completed_at,
       CASE WHEN "updatedAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN "updatedAt" END::timestamptz
           AS updated_at,
       -- What a try-on finds out before it is drawn.
       CASE WHEN type::text = 'tryon' THEN (
           SELECT jsonb_agg(jsonb_build_object('step', step, 'state', state, 'error', error) ORDER BY step)
           FROM photo_generation_steps WHERE "jobId" = job.id) END AS "steps: Steps",
       now() AS "read_at!"
FROM photo_generation_queue AS job
WHERE (($1::uuid[] IS NULL AND $2::bigint[] IS NULL) OR "jobId" = ANY ($1) OR id = ANY ($2))
  AND (cardinality($3::text[]) = 0 OR status::text = ANY ($3))
  AND ($4::text IS NULL OR "errorCode" = $4)
  AND ($5::bigint IS NULL OR "batchId" = $5)
  AND ($6::float8 IS NULL OR "createdAt" > now() - make_interval(secs => $6))
  -- The index has it cut, see photo_generation_tenant.
  AND ($7::text IS NULL
       OR (photo_generation_tenant("teamId"::text, "userId"::text) = left($7, 200)
           AND coalesce('team:' || nullif("teamId"::text, ''), 'user:' || nullif("userId"::text, ''),
                        'none') = $7))
  AND ($8::bigint IS NULL OR id < $8)
  AND ($9::text IS NULL OR metadata::jsonb ->> $9 = $10)
ORDER BY id DESC
LIMIT $11
