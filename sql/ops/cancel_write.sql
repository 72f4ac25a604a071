-- ops/cancel_write: cancel one job that has not ended. No row: it has.
-- When: a person or a program should not get these photos after all. A running call is aborted
-- within two seconds, and may be billed; pictures that are stored already are kept.
-- Which job: psql -v job=42 -f sql/ops/cancel_write.sql
\if :{?job}
\else
\warn 'Which job? psql -v job=42 -f sql/ops/cancel_write.sql'
\quit
\endif
UPDATE photo_generation_queue
SET status = 'canceled'
WHERE id = :job
  AND status IN ('pending', 'processing', 'rate_limited')
RETURNING id, status, "imagesCompleted";
