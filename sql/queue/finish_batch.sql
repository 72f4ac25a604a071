-- queue/finish_batch: end a batch whose last job has ended. Called by db::batches after the batch's
-- row was locked in a statement of its own: with lock and count in one, the count is older than
-- the lock, and two last jobs left the batch open for ever. An ended batch is judged again, in case
-- a job was claimed again while it was being ended.
-- $1 batch. Uses safelight_batch_idx.
WITH verdict AS (
    SELECT CASE WHEN EXISTS (
        SELECT FROM photo_generation_queue
        WHERE "batchId" = $1 AND (status = 'completed' OR "imagesCompleted" > 0)
    ) THEN 'completed' ELSE 'failed' END AS status
)
UPDATE photo_generation_batches AS batch
SET status = photo_generation_batch_status(verdict.status), "completedAt" = now()
FROM verdict
WHERE batch.id = $1 AND batch.status::text <> verdict.status
  -- Other words are the app's own, and its own affair.
  AND batch.status::text IN ('generating', 'completed', 'failed')
  AND NOT EXISTS (
      SELECT FROM photo_generation_queue
      WHERE "batchId" = $1 AND status IN ('pending', 'processing', 'rate_limited'))
RETURNING batch.status::text AS "status!"
