-- ops/spend: how many calls did the provider take, and so bill, each day, as far as we know?
-- When: to compare with the provider's bill. It lies between at_least and at_most: known calls were
-- taken for certain; of ambiguous ones (timeout, broken connection, killed worker), of errors that
-- do not say it, and of those in flight nobody here can know. Refused by a limit is not billed. cost_usd
-- is what the first cost by photo_generation_prices, and what the others are expected to.
-- How far back: psql -v days=30 -f sql/ops/spend.sql (7 when not said). Days are UTC.
-- Scans the ledger: 1.5 s per million calls of these days.
\if :{?days}
\else
\set days 7
\endif
WITH call AS (
    SELECT *,
           state IN ('stored', 'refused', 'empty') OR (state IN ('error', 'calling') AND accepted) AS known,
           state IN ('ambiguous', 'calling') OR (state = 'error' AND accepted IS NULL) AS unknown
    FROM photo_generation_calls
    WHERE "startedAt" > now() - make_interval(days => :days)
)
SELECT date_trunc('day', "startedAt" AT TIME ZONE 'UTC')::date AS day,
       account,
       model,
       count(*) FILTER (WHERE known)               AS at_least,
       count(*) FILTER (WHERE known OR unknown)    AS at_most,
       count(*) FILTER (WHERE state = 'stored')    AS stored,
       count(*) FILTER (WHERE state = 'ambiguous') AS ambiguous,
       sum("inputTokens")                          AS input_tokens,
       sum("outputTokens")                         AS output_tokens,
       sum("costUsd")                              AS cost_usd
FROM call
GROUP BY 1, 2, 3
ORDER BY day DESC, account, model;
