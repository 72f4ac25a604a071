-- queue/touch: renew "lockedAt" of every job of run $1, for people and for programs of the old
-- kind that look at it. Called by db::workers::touch. Neither "updatedAt" nor anything that a
-- client sees changes; no index holds the column, so the update stays HOT.
-- Never waits: it runs on the connection that renews, and whoever holds a row locked for long
-- would make its worker look dead. A row skipped now is renewed next time.
WITH mine AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE status = 'processing' AND run = $1
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE photo_generation_queue AS job
SET "lockedAt" = now()
FROM mine
WHERE job.id = mine.id
