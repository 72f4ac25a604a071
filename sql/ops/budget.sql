-- ops/budget: how much of each limit is used, and from when on may a call begin?
-- When: to see whether the quota is spent, or why not. Empty: no limit. `safelight limits` shows the
-- same, and `safelight limits set` changes it.
-- Reads a day of the ledger by index: some milliseconds per ten thousand calls.
SET TIME ZONE 'UTC';
SELECT l.provider,
       l.account,
       l.model,
       used.minute,
       l."requestsPerMinute" AS per_minute,
       l."learnedPerMinute"  AS learned,
       used.day,
       l."requestsPerDay"    AS per_day,
       used.running,
       l."maxConcurrent"     AS at_a_time,
       used.cost             AS cost_today,
       l."maxCostPerDay"     AS cost_per_day,
       CASE WHEN budget.usable = 'infinity' THEN 'when resumed'
            WHEN budget.usable > now()
                THEN 'in ' || date_trunc('second', budget.usable - now())
            ELSE 'now' END AS next_call,
       budget.why
FROM photo_generation_limits AS l
CROSS JOIN LATERAL photo_generation_budget(l.provider, l.account, l.model, '0', NULL, NULL, NULL) AS budget
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE "startedAt" > now() - photo_generation_quota_window()
                              AND state <> 'limited') AS minute,
           count(*) FILTER (WHERE "startedAt" >= photo_generation_next_quota_day() - interval '1 day'
                              AND state <> 'limited') AS day,
           count(*) FILTER (WHERE state = 'calling') AS running,
           sum("costUsd") FILTER (WHERE "startedAt" >= photo_generation_spend_day()) AS cost
    FROM photo_generation_calls AS call
    WHERE call.provider = l.provider AND call.account = l.account AND call.model = l.model
      AND "startedAt" > now() - interval '26 hours'
) AS used
ORDER BY l.provider, l.account, l.model;
