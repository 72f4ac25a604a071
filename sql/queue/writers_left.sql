-- queue/writers_left: how many of the transactions $1 are still open. Called by db::workers.
SELECT count(*) AS "left!"
FROM pg_locks
WHERE locktype = 'virtualxid' AND granted AND virtualxid = ANY ($1::text[])
