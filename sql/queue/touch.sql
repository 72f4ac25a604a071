-- queue/touch: renew "lockedAt" of every job of run $1, for people and for programs of the old
-- kind that look at it. Called by db::workers::touch. Neither "updatedAt" nor anything that a
-- client sees changes; no index holds the column, so the update stays HOT.
UPDATE photo_generation_queue
SET "lockedAt" = now()
WHERE status = 'processing' AND run = $1
