-- ops/budget: how much of each limit is used, and from when on may a call begin?
-- When: to see whether the quota is spent, or why not. Empty: no limit. `safelight limits` shows the
-- same, and `safelight limits set` changes it.
-- A limit of money counts calls of a known price only: cost_per_call is what operators set, else the
-- provider's list price. Empty beside a limit of money: those calls are not counted.
SET TIME ZONE 'UTC';
SELECT l.provider,
       l.account,
       l.model,
       used.minute,
       l."requestsPerMinute" AS per_minute,
       l."learnedPerMinute"  AS learned,
       l."statedPerMinute"   AS stated,
       today.calls           AS day,
       l."requestsPerDay"    AS per_day,
       used.running,
       l."maxConcurrent"     AS at_a_time,
       today.cost            AS cost_today,
       l."maxCostPerDay"     AS cost_per_day,
       coalesce(l."costPerCall", photo_generation_list_price(l.provider, l.model)) AS cost_per_call,
       CASE WHEN budget.usable = 'infinity' THEN 'when resumed'
            WHEN budget.usable > now()
                THEN 'in ' || date_trunc('second', budget.usable - now())
            ELSE 'now' END AS next_call,
       budget.why
FROM photo_generation_limits AS l
CROSS JOIN LATERAL photo_generation_budget(l.provider, l.account, l.model, '0', NULL, NULL, NULL) AS budget
CROSS JOIN LATERAL photo_generation_today(l.provider, l.account, l.model) AS today
CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM photo_generation_calls AS call
            WHERE call.provider = l.provider AND call.account = l.account AND call.model = l.model
              AND "startedAt" > now() - photo_generation_quota_window() AND state <> 'limited') AS minute,
           (SELECT count(*) FROM photo_generation_calls AS call
            WHERE call.provider = l.provider AND call.account = l.account AND call.model = l.model
              AND state = 'calling' AND accepted IS NULL) AS running
) AS used
ORDER BY l.provider, l.account, l.model;
