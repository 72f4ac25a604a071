-- ops/spool: which photos are paid for and wait on a worker's disk until the storage takes them, and since when?
-- When: the storage is or was away, or a job waits although all of its calls have been made. Workers try the
-- storage again every two seconds and store them by themselves. A spool that nobody has renewed for an
-- hour is given up, its calls are ambiguous: start a worker with that machine's SPOOL_DIR before.
-- Reads the calls in flight by index.
SET TIME ZONE 'UTC';
SELECT call."jobId"                                          AS job,
       coalesce(call.index::text, call.step) AS image,
       date_trunc('second', now() - call."deadlineAt")       AS waits,
       coalesce(spool.worker, call.worker)                   AS worker,
       date_trunc('second', now() - spool."renewedAt")       AS renewed,
       spool.photos,
       pg_size_pretty(spool.bytes)                           AS size,
       date_trunc('second', now() - spool."fullSince")       AS full_for,
       spool.error
FROM photo_generation_calls AS call
LEFT JOIN photo_generation_spools AS spool ON spool.spool = call.spool
WHERE call.state = 'calling' AND call.spool IS NOT NULL
ORDER BY call."deadlineAt", call."jobId", call.index
LIMIT 1000;
