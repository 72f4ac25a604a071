-- queue/reopen_batch: a batch whose job runs again is generating again. Called by
-- db::lease::reopen_batch, by the attempt and not by the claim: a hand may hold the batch's row, and
-- then only this job waits.
-- $1 job, $2 lease, $3 batch.
UPDATE photo_generation_batches AS batch
SET status = photo_generation_batch_status('generating'), "completedAt" = NULL
WHERE batch.id = $3 AND batch.status::text IN ('completed', 'failed')
  AND EXISTS (SELECT FROM photo_generation_queue
              WHERE id = $1 AND lease = $2 AND status = 'processing')
