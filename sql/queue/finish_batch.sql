-- queue/finish_batch: end a batch whose last job has ended. Called by db::batches after the batch's
-- row was locked in a statement of its own: with lock and count in one, the count is older than
-- the lock, and two last jobs left the batch open for ever.
-- $1 batch. Uses photo_generation_queue_batch_idx.
UPDATE photo_generation_batches AS batch
SET status = CASE WHEN EXISTS (
        SELECT FROM photo_generation_queue
        WHERE "batchId" = $1 AND (status = 'completed' OR "imagesCompleted" > 0)
    ) THEN 'completed' ELSE 'failed' END,
    "completedAt" = now()
WHERE batch.id = $1 AND batch.status = 'generating'
  AND NOT EXISTS (
      SELECT FROM photo_generation_queue
      WHERE "batchId" = $1 AND status IN ('pending', 'processing', 'rate_limited'))
