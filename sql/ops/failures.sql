-- ops/failures: why did jobs fail, by code and model?
-- When: users report failures, or every morning. The whole story of one of them: ops/job.
-- How far back: psql -v hours=168 -f sql/ops/failures.sql (24 when not said).
-- Scans the table: 0.6 s per million rows.
\if :{?hours}
\else
\set hours 24
\endif
SET TIME ZONE 'UTC';
SELECT coalesce("errorCode", '(none)')      AS code,
       coalesce(model, '(default)')         AS model,
       count(*)                             AS jobs,
       max("completedAt")                   AS latest,
       (array_agg(id ORDER BY "completedAt" DESC))[1]             AS latest_job,
       (array_agg("errorMessage" ORDER BY "completedAt" DESC))[1] AS latest_message
FROM photo_generation_queue
WHERE status = 'failed'
  AND "completedAt" > now() - make_interval(hours => :hours)
GROUP BY 1, 2
ORDER BY jobs DESC, code, model;
