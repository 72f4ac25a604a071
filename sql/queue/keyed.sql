-- queue/keyed: the job of this tenant that has the wished job's idempotency key. Called by
-- db::jobs::enqueue when an insert met it.
-- $1 the wished job, as JSON, $2 the columns that are wishes, $3 what they mean when they say
-- nothing, $4 seconds from insertion to expiry (NULL: never).
-- Says also whether it asks for the same: by the hash of the request that brought the key, if it has one,
-- or by what stands in the columns, which an app may have inserted. Its expiry may be off by what a
-- column's precision rounds.
-- Reads safelight_idempotency_key; its words.
SELECT job.id::bigint AS "id!", job."jobId" AS "job_id!", job.status::text AS "status!: Status",
       CASE WHEN job."createdAt" BETWEEN '0001-01-01' AND '9999-12-31' THEN job."createdAt" END::timestamptz
           AS created_at,
       coalesce(job."requestHash" = wish."requestHash", false)
       OR coalesce((SELECT every(coalesce(nullif(nullif(to_jsonb(job) -> key, 'null'), '""'),
                                       $3::text::jsonb -> key)
                              IS NOT DISTINCT FROM
                              coalesce(nullif(nullif(to_jsonb(wish) -> key, 'null'), '""'),
                                       $3::text::jsonb -> key)
                              -- The row's was filled in, with the default of the provider.
                              OR key = 'model' AND coalesce(wish.model::text, '') = ''
                                 AND wish.provider::text IN ('gemini', 'openai'))
                 FROM unnest($2::text[]) AS key)
                AND CASE WHEN $4::float8 IS NULL THEN job."expiresAt" IS NULL
                    ELSE job."expiresAt" BETWEEN
                             job."createdAt" + make_interval(secs => $4) - interval '1 second'
                         AND job."createdAt" + make_interval(secs => $4) + interval '1 second' END,
                false) AS "same!"
FROM jsonb_populate_record(NULL::public.photo_generation_queue, $1::text::jsonb) AS wish
JOIN public.photo_generation_queue AS job
  ON job."idempotencyKey" = wish."idempotencyKey"
 AND coalesce('team:' || nullif(job."teamId"::text, ''), 'user:' || nullif(job."userId"::text, ''), 'none')
   = coalesce('team:' || nullif(wish."teamId"::text, ''), 'user:' || nullif(wish."userId"::text, ''), 'none')
