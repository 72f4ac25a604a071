-- ops/calls: how many provider calls were made each day, to which model, and how did they end?
-- When: to see what the provider does: more limited or error than yesterday, slower answers.
-- How far back: psql -v days=30 -f sql/ops/calls.sql (7 when not said). Days are UTC.
-- Scans the ledger: 1.5 s per million calls of these days.
\if :{?days}
\else
\set days 7
\endif
SELECT date_trunc('day', "startedAt" AT TIME ZONE 'UTC')::date  AS day,
       model,
       count(*)                                      AS calls,
       count(*) FILTER (WHERE state = 'stored')      AS stored,
       count(*) FILTER (WHERE state = 'refused')     AS refused,
       count(*) FILTER (WHERE state = 'empty')       AS empty,
       count(*) FILTER (WHERE state = 'limited')     AS limited,
       count(*) FILTER (WHERE state = 'error')       AS error,
       count(*) FILTER (WHERE state = 'ambiguous')   AS ambiguous,
       count(*) FILTER (WHERE state = 'calling' AND spool IS NULL)     AS in_flight,
       count(*) FILTER (WHERE state = 'calling' AND spool IS NOT NULL) AS in_spool,
       round(avg(extract(epoch FROM "endedAt" - "startedAt")) FILTER (WHERE state = 'stored'), 1)
                                                     AS seconds_per_picture
FROM photo_generation_calls
WHERE "startedAt" > now() - make_interval(days => :days)
GROUP BY 1, 2
ORDER BY day DESC, model;
