-- queue/budget: how each account stands with each model: what operators allow, what is used, and from
-- when on a call may begin. Called by db::limits::list, for `safelight limits`.
-- uncounted: a limit of money that cannot be kept, since nobody knows what a call costs.
SELECT l.provider, l.account, l.model, l.paused,
       l."requestsPerMinute" AS per_minute, l."requestsPerDay" AS per_day,
       l."maxConcurrent" AS concurrent, l."minIntervalMs" AS interval_ms,
       l."maxCostPerDay"::float8 AS cost_per_day, price.of_call::float8 AS cost_per_call,
       price.of_call IS NULL AND num_nonnulls(l."maxCostPerDay", stop.fleet) > 0 AS "uncounted!",
       stop.fleet::float8 AS fleet_cost_per_day, stop.spent::float8 AS "fleet_cost_today!",
       l."learnedPerMinute" AS learned_per_minute, l."learnedAt" AS learned_at,
       l."statedPerMinute" AS stated_per_minute, l."statedAt" AS stated_at,
       used.minute AS "minute_used!", today.calls AS "day_used!", used.running AS "running!",
       today.cost::float8 AS "cost_today!",
       CASE WHEN budget.usable > now() AND budget.usable < 'infinity' THEN budget.usable END AS usable_at,
       CASE WHEN budget.usable > now() THEN budget.why END AS why,
       l.reason, now() AS "read_at!"
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
CROSS JOIN LATERAL (
    SELECT coalesce(l."costPerCall", photo_generation_list_price(l.provider, l.model)) AS of_call
) AS price
CROSS JOIN (SELECT photo_generation_spend_limit() AS fleet, photo_generation_spent_today() AS spent) AS stop
ORDER BY l.provider, l.account, l.model
