-- ops/requeue_write: put one job that has not ended back to pending, due at once.
-- When: one that runs hangs, or should run on another worker; one that waits need not wait any
-- longer. Its worker aborts the running call within two seconds and writes nothing more; that call
-- may be billed, and is repeated at most once. Stored pictures are kept, attempts stay as they are.
-- It runs once its model takes calls (ops/limits). No row: it has ended, see ops/retry_write.
-- Which job: psql -v job=42 -f sql/ops/requeue_write.sql
\if :{?job}
\else
\warn 'Which job? psql -v job=42 -f sql/ops/requeue_write.sql'
\quit
\endif
UPDATE photo_generation_queue
SET status = 'pending', "retryAt" = NULL
WHERE id = :job
  AND status IN ('pending', 'processing', 'rate_limited')
RETURNING id, status, attempts, "imagesCompleted";
