-- ops/delete_job_write: delete one job, whatever its state. No row: there is none.
-- When: its row must go, for instance because its person asked for that; to only end it, there is
-- ops/cancel_write. A running call is aborted within two seconds, and may be billed. The rows of its
-- images go with it; its calls stay in the ledger, and its pictures stay in storage.
-- Which job: psql -v job=42 -f sql/ops/delete_job_write.sql
\if :{?job}
\else
\warn 'Which job? psql -v job=42 -f sql/ops/delete_job_write.sql'
\quit
\endif
DELETE FROM photo_generation_queue
WHERE id = :job
RETURNING id, status, "imagesCompleted";
