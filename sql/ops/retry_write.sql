-- ops/retry_write: run one job that has ended again, in its own row. No row: it has not ended.
-- When: what made it fail is repaired. Attempts, error and "retryAt" are cleared, and an "expiresAt"
-- that has passed; pictures that are stored stay and are not bought again, all others are made.
-- (safelight retry makes a new job instead, asks for all pictures again, and leaves the old one as it
-- is.)
-- Which job: psql -v job=42 -f sql/ops/retry_write.sql
\if :{?job}
\else
\warn 'Which job? psql -v job=42 -f sql/ops/retry_write.sql'
\quit
\endif
UPDATE photo_generation_queue
SET status = 'pending',
    "expiresAt" = CASE WHEN "expiresAt" > now() THEN "expiresAt" END
WHERE id = :job
  AND status IN ('completed', 'failed', 'canceled')
RETURNING id, status, "imagesCompleted";
