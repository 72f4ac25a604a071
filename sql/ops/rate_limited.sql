-- ops/rate_limited: how many jobs did the provider refuse for now, and when is the next one due?
-- When: photos come slower than usual. Why they wait: ops/limits.
-- Scans the table: 0.2 s per million rows.
SET TIME ZONE 'UTC';
SELECT count(*)       AS rate_limited,
       min("retryAt") AS next_retry_at,
       -- Nothing can be subtracted from an infinity, where an app may have parked a job.
       date_trunc('second', min(greatest("retryAt", now()))
                                FILTER (WHERE coalesce("retryAt" < 'infinity', true)) - now()) AS next_in
FROM photo_generation_queue
WHERE status = 'rate_limited';
