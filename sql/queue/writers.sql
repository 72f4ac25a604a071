-- queue/writers: the open transactions that have written to the queue. Called by db::workers when
-- a worker goes idle: an insert of theirs may have read its flag before it was set, so it looks
-- again until they have ended. Later transactions read the flag and notify.
SELECT DISTINCT virtualtransaction AS "id!"
FROM pg_locks
WHERE locktype = 'relation' AND relation = 'photo_generation_queue'::regclass
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND mode = 'RowExclusiveLock' AND granted AND pid <> pg_backend_pid()
