-- queue/in_spool: the calls whose pictures were found in a spool. Called by db::ledger::in_spool.
-- $1 calls. Reads them by key. One that is missing is of another database.
SELECT id, "jobId" AS job, "jobUuid" AS job_uuid, tenant, index, step, lease, attempt, account, model,
       spool, state
FROM photo_generation_calls
WHERE id = ANY ($1)
