-- ops/stale_locks: which rows are locked although nobody has renewed the lock for five minutes?
-- When: a program other than safelight works the same table and died. Our own workers renew
-- "lockedAt" every minute at the latest and take such rows back by themselves; without a living
-- worker, ops/release_stale_locks_write does.
-- Reads the processing rows by index.
SET TIME ZONE 'UTC';
SELECT *
FROM photo_generation_queue
WHERE status = 'processing'
  AND "lockedAt" < now() - interval '5 minutes';
