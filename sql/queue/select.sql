-- queue/select: the jobs that a bulk action is about, oldest first. Called by db::jobs::select; what
-- is done afterwards names these jobs, so that nothing happens to more of them than were shown.
-- $1 states, $2 error code, $3 batch, $4 created within seconds, $5 leave out jobs that a retry was
-- made of before. NULL does not filter.
SELECT id::bigint AS "id!", "jobId" AS job_id, status::text AS "status!: Status"
FROM photo_generation_queue AS job
WHERE status::text = ANY ($1::text[])
  AND ($2::text IS NULL OR "errorCode" = $2)
  AND ($3::bigint IS NULL OR "batchId" = $3)
  AND ($4::float8 IS NULL OR "createdAt" > now() - make_interval(secs => $4))
  AND NOT ($5::boolean AND EXISTS (SELECT FROM photo_generation_queue AS again
                                   WHERE again."retryOf" = job."jobId"))
ORDER BY id
