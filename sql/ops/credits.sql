-- ops/credits: what does each customer have to spend, what is reserved of it, and what became of the rest?
-- When: a customer asks where the credits went, or insert fails with insufficient_credits. Empty: nobody was
-- ever granted any, as with CREDITS off or app.
-- How many lines: psql -v rows=50 -f sql/ops/credits.sql (20 when not said), who changed last first.
-- remaining: may be spent. reserved: for images that are not made yet. captured: for stored images.
-- refunded: came back for those that were not made. By index: what an account has, however many there are.
\if :{?rows}
\else
\set rows 20
\endif
SELECT account.tenant,
       account.balance + coalesce(returned.credits, 0) AS remaining,
       coalesce(held.credits, 0) AS reserved,
       coalesce(entry.granted, 0) AS granted,
       coalesce(entry.captured, 0) AS captured,
       coalesce(entry.refunded, 0) AS refunded
FROM (SELECT * FROM photo_generation_credits ORDER BY "updatedAt" DESC, tenant LIMIT :rows) AS account
CROSS JOIN LATERAL (
    SELECT sum(amount) AS credits FROM photo_generation_credit_returns WHERE tenant = account.tenant
) AS returned
CROSS JOIN LATERAL (
    SELECT sum(each * cardinality(open)) AS credits FROM photo_generation_credit_reservations
    WHERE tenant = account.tenant
) AS held
CROSS JOIN LATERAL (
    SELECT sum(amount) FILTER (WHERE kind = 'grant') AS granted,
           sum(amount) FILTER (WHERE kind = 'capture') AS captured,
           sum(amount) FILTER (WHERE kind = 'refund') AS refunded
    FROM photo_generation_credit_entries WHERE tenant = account.tenant
) AS entry
ORDER BY account."updatedAt" DESC, account.tenant;
