-- ops/grant_credits_write: give a customer credits, or take some back.
-- When: somebody has paid, or was promised something. Negative takes back, never more than are left. An app
-- calls the same function; `safelight credits grant` does the same.
-- Whom: psql -v tenant=user:42 -v credits=100 -f sql/ops/grant_credits_write.sql (team:ID, user:ID or none)
-- How many: psql -v credits=-20 -v tenant=team:7 -f sql/ops/grant_credits_write.sql
-- Why, for whoever reads the account book: psql -v reason='order 81' -v tenant=user:42 -v credits=100 -f sql/ops/grant_credits_write.sql
\if :{?tenant}
\else
\warn 'Whom? psql -v tenant=user:42 -v credits=100 -f sql/ops/grant_credits_write.sql'
\quit
\endif
\if :{?credits}
\else
\warn 'How many? psql -v credits=100 -v tenant=user:42 -f sql/ops/grant_credits_write.sql'
\quit
\endif
\if :{?reason}
\else
\set reason ''
\endif
SELECT :'tenant' AS tenant,
       photo_generation_grant_credits(:'tenant', :'credits'::bigint, nullif(:'reason', '')) AS remaining;
