-- ops/delete_batch_write: delete one batch with all of its jobs, by cascade. No row: there is none.
-- When: as ops/delete_job_write, and it does the same to each job of the batch: running calls are
-- aborted within two seconds, calls stay in the ledger, and pictures in storage. In an app's own
-- table whose foreign key does not cascade Postgres refuses it: then delete its jobs first.
-- Which batch: psql -v batch=7 -f sql/ops/delete_batch_write.sql
\if :{?batch}
\else
\warn 'Which batch? psql -v batch=7 -f sql/ops/delete_batch_write.sql'
\quit
\endif
DELETE FROM photo_generation_batches
WHERE id = :batch
RETURNING id, status;
