-- ops/release_stale_locks_write: give back the rows of ops/stale_locks; they run again.
-- When: ops/stale_locks shows rows and no worker lives to take them back. Safe at any time: if the
-- old holder still lives after all, whatever it writes of our own tables is refused from now on,
-- and pictures that are stored are not bought again. The attempt is not counted.
SET TIME ZONE 'UTC';
UPDATE photo_generation_queue
SET "lockedBy" = NULL, "lockedAt" = NULL, status = 'pending'
WHERE status = 'processing'
AND "lockedAt" < NOW() - INTERVAL '5 minutes';
