-- ops/rate_limited_now_write: let rate limited jobs run as soon as their model takes calls again.
-- When: the limit was raised at the provider's and ops/unblock_write is done; otherwise they wait
-- for the moment that the provider named, a daily quota until midnight in California.
-- Scans the table, and writes every rate limited row.
UPDATE photo_generation_queue
SET "retryAt" = NULL
WHERE status = 'rate_limited'
RETURNING id, status;
