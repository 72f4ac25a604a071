-- ops/cost_by_tenant: what did the calls for each tenant cost, by model, as far as prices are known?
-- When: to see who costs how much. Calls in flight and of unknown end count with what they are expected to
-- cost; a model without a price in photo_generation_prices counts nothing.
-- How far back: psql -v days=30 -f sql/ops/cost_by_tenant.sql (7 when not said).
-- Scans the ledger: 1.5 s per million calls of these days.
\if :{?days}
\else
\set days 7
\endif
SELECT tenant,
       model,
       count(*) FILTER (WHERE state <> 'limited')        AS calls,
       count(*) FILTER (WHERE state = 'stored')          AS stored,
       sum("costUsd")                                    AS cost_usd,
       round(sum("costUsd") / nullif(count(*) FILTER (WHERE state = 'stored'), 0), 6) AS per_photo
FROM photo_generation_calls
WHERE "startedAt" > now() - make_interval(days => :days)
GROUP BY 1, 2
ORDER BY cost_usd DESC NULLS LAST, tenant, model
LIMIT 100;
