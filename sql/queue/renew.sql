-- queue/renew: this run lives. Registers it when its row is missing. Called by db::workers::renew
-- every few seconds, on the database's clock. Returns the jobs that the run owns, so that what the
-- process does not know of can be given back.
-- $1 run, $2 label, $3 version, $4 host, $5 process id, $7 accounts, $6 whether it wants to be woken: only for a
-- row that is missing. Else a renewal that read the flag just before it was set would take it back,
-- and inserts would not notify.
WITH renewed AS (
    INSERT INTO photo_generation_workers (run, label, version, host, pid, idle, accounts)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (run) DO UPDATE SET "renewedAt" = now()
    RETURNING run
)
SELECT job.id::bigint AS "job!", job.lease AS "token!"
FROM renewed JOIN photo_generation_queue AS job ON job.run = renewed.run
WHERE job.status = 'processing'
