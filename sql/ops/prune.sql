-- ops/prune: what may be pruned now, by state, and how large are the photos?
-- When: before setting RETENTION_COMPLETED_DAYS and RETENTION_FAILED_DAYS, or to see how far the workers
-- have come. Counted are ended jobs of which nothing is still wanted: their batch is over, the app has
-- taken over all photos, no call of theirs is of today. Rows of your own tables that refer to a job keep it,
-- too, and are not looked at here: safelight prune --dry-run does.
-- Ages in days, 0 for never; those of the settings when not said:
-- psql -v completed=30 -f sql/ops/prune.sql
-- psql -v failed=7 -f sql/ops/prune.sql
-- Scans the queue and reads all of those jobs: 10 s per million jobs.
\if :{?completed}
\else
SELECT least(coalesce(trunc(photo_generation_number('retentionCompletedDays')), 0), 36500)::integer AS completed
\gset
\endif
\if :{?failed}
\else
SELECT least(coalesce(trunc(photo_generation_number('retentionFailedDays')), 0), 36500)::integer AS failed
\gset
\endif
SET TIME ZONE 'UTC';
WITH counted AS MATERIALIZED (
    SELECT least(photo_generation_quota_day(), photo_generation_spend_day()) AS since,
           -- Rows that an app's table had when it was adopted; where nobody has noted which, all.
           coalesce((SELECT CASE WHEN definition <> '' THEN definition::numeric ELSE 'infinity' END
                     FROM photo_generation_adoption
                     WHERE "table" = 'photo_generation_queue' AND kind = 'table'), '-infinity') AS adopted
)
SELECT job.status::text                              AS status,
       count(*)                                      AS jobs,
       date_trunc('second', min(ended.at))           AS oldest,
       sum(photos.number)                            AS photos,
       pg_size_pretty(sum(photos.bytes))             AS size
FROM photo_generation_queue AS job
CROSS JOIN counted
CROSS JOIN LATERAL (
    SELECT coalesce(job."completedAt", job."updatedAt", job."createdAt")::timestamptz AS at
) AS ended
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE image.state = 'stored') AS number,
           coalesce(sum(image.bytes) FILTER (WHERE image.state = 'stored'), 0) AS bytes,
           coalesce(bool_or(image."hookError" IS NOT NULL), false) AS wanted
    FROM photo_generation_images AS image WHERE image."jobId" = job.id
) AS photos
WHERE job.id > counted.adopted
  AND isfinite(ended.at)
  AND ended.at < now() - make_interval(days => CASE job.status::text
                                                   WHEN 'completed' THEN nullif(:completed, 0)
                                                   WHEN 'failed' THEN nullif(:failed, 0)
                                                   WHEN 'canceled' THEN nullif(:failed, 0) END)
  AND NOT photos.wanted
  AND NOT EXISTS (SELECT FROM photo_generation_batches AS batch
                  WHERE batch.id = job."batchId" AND batch.status::text = 'generating')
  AND NOT EXISTS (SELECT FROM photo_generation_calls AS call
                  WHERE call."jobId" = job.id
                    AND (call.state = 'calling'
                         OR call."startedAt" >= counted.since))
GROUP BY 1
ORDER BY array_position(ARRAY['completed', 'failed', 'canceled'], job.status::text);
