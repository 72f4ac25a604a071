-- ops/resume_write: make calls to a paused model again.
-- When: after ops/pause_write. Idle workers see it at their next poll (POLL_INTERVAL_MS).
-- Which model: psql -v model=gemini-3-pro-image -f sql/ops/resume_write.sql
\if :{?model}
\else
\warn 'Which model? psql -v model=gemini-3-pro-image -f sql/ops/resume_write.sql'
\quit
\endif
UPDATE photo_generation_limits
SET paused = false, "updatedAt" = now()
WHERE model = :'model'
RETURNING provider, account, model, paused;
