-- queue/prune_due: which of these jobs may be pruned, and what goes with each. Called by db::prune, first
-- for jobs that the walk has found, and again when they are locked: in a statement of its own, since one
-- that takes the lock may be older than what it finds.
-- $1 jobs, $2 days after which completed jobs go, $3 the same for failed and canceled ones; 0: never.
-- A job stays
--   whose batch is not over: the batch ends completed if any of its jobs has;
--   of which a call is open (also one whose picture lies in a spool), or is of a day that is still counted: what limits and
--   budgets have counted never changes by pruning;
--   of which the app has not taken over a picture: photo_generation_on_image still raises an error.
-- All by index, among a million jobs, images and calls: 5,000 that are all due take 50 ms, of which none
-- is 10 ms.
WITH counted AS MATERIALIZED (
    SELECT least(photo_generation_quota_day(), photo_generation_spend_day()) AS since
)
SELECT job.id::bigint AS "id!", job.status::text AS "status!: Status", ended.at AS "ended_at!",
       photos.number AS "photos!", photos.bytes AS "bytes!"
FROM photo_generation_queue AS job
CROSS JOIN counted
CROSS JOIN LATERAL (
    SELECT coalesce(job."completedAt", job."updatedAt", job."createdAt")::timestamptz AS at
) AS ended
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE image.state = 'stored') AS number,
           coalesce(sum(image.bytes) FILTER (WHERE image.state = 'stored'), 0)::bigint AS bytes,
           coalesce(bool_or(image."hookError" IS NOT NULL), false) AS wanted
    FROM photo_generation_images AS image WHERE image."jobId" = job.id
) AS photos
WHERE job.id = ANY ($1)
  AND isfinite(ended.at)
  AND ended.at < now() - make_interval(days => CASE job.status::text
                                                   WHEN 'completed' THEN nullif($2::integer, 0)
                                                   WHEN 'failed' THEN nullif($3::integer, 0)
                                                   WHEN 'canceled' THEN nullif($3::integer, 0) END)
  AND NOT photos.wanted
  AND NOT EXISTS (SELECT FROM photo_generation_batches AS batch
                  WHERE batch.id = job."batchId" AND batch.status::text = 'generating')
  AND NOT EXISTS (SELECT FROM photo_generation_calls AS call
                  WHERE call."jobId" = job.id
                    AND (call.state = 'calling' OR call."startedAt" >= counted.since))
ORDER BY job.id
