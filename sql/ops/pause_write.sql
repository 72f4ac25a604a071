-- ops/pause_write: make no more calls to one model, on any account, on any worker.
-- When: something is wrong with it, or with the bill. Calls in flight end as usual; jobs wait and
-- lose nothing. Until ops/resume_write.
-- Which model: psql -v model=gemini-3-pro-image -f sql/ops/pause_write.sql
\if :{?model}
\else
\warn 'Which model? psql -v model=gemini-3-pro-image -f sql/ops/pause_write.sql'
\quit
\endif
UPDATE photo_generation_limits
SET paused = true, "updatedAt" = now()
WHERE model = :'model'
RETURNING provider, account, model, paused;
