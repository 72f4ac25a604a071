-- queue/budget: how each account stands with each model: what operators allow, what is used, and from
-- when on a call may begin. Called by db::limits::list, for `safelight limits`.
-- Counts a day of the ledger per row by index: some milliseconds per ten thousand calls.
SELECT l.provider, l.account, l.model, l.paused,
       l."requestsPerMinute" AS per_minute, l."requestsPerDay" AS per_day,
       l."maxConcurrent" AS concurrent, l."minIntervalMs" AS interval_ms,
       l."maxCostPerDay"::float8 AS cost_per_day, l."costPerCall"::float8 AS cost_per_call,
       l."learnedPerMinute" AS learned_per_minute, l."learnedAt" AS learned_at,
       used.minute AS "minute_used!", used.day AS "day_used!", used.running AS "running!",
       used.cost::float8 AS "cost_today!",
       CASE WHEN budget.usable > now() AND budget.usable < 'infinity' THEN budget.usable END AS usable_at,
       CASE WHEN budget.usable > now() THEN budget.why END AS why,
       l.reason, now() AS "read_at!"
FROM photo_generation_limits AS l
CROSS JOIN LATERAL photo_generation_budget(l.provider, l.account, l.model, '0', NULL, NULL, NULL) AS budget
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE "startedAt" > now() - photo_generation_quota_window()
                              AND state <> 'limited') AS minute,
           count(*) FILTER (WHERE "startedAt" >= photo_generation_next_quota_day() - interval '1 day'
                              AND state <> 'limited') AS day,
           count(*) FILTER (WHERE state = 'calling') AS running,
           coalesce(sum("costUsd") FILTER (WHERE "startedAt" >= photo_generation_spend_day()), 0) AS cost
    FROM photo_generation_calls AS call
    WHERE call.provider = l.provider AND call.account = l.account AND call.model = l.model
      AND "startedAt" > now() - interval '26 hours'
) AS used
ORDER BY l.provider, l.account, l.model
