-- queue/expired: waiting jobs whose "expiresAt" has passed, locked, the longest overdue first. Called
-- by db::sweep::expire, which ends them in the same transaction with queue/expire: in one statement
-- with the lock, the count of their stored images would be older than the lock, and a job that was
-- claimed, given a picture and given back in between would end failed.
-- $1 at most. Never waits: who holds a row locked is claiming, ending or changing it.
-- Reads safelight_expires_idx. What lies at infinity never comes.
SELECT id::bigint AS "id!"
FROM photo_generation_queue
WHERE status IN ('pending', 'rate_limited') AND "expiresAt" <= now()
ORDER BY "expiresAt"
LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED
