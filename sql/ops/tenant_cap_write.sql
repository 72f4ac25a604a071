-- ops/tenant_cap_write: let one tenant run more or fewer jobs at a time than all others.
-- When: a tenant has paid for more, or takes too much. 0: any number. Jobs that run go on; workers follow
-- at once. What holds for all is TENANT_MAX_RUNNING. `safelight limits tenant` does the same.
-- Which tenant: psql -v tenant=team:7 -v most=10 -f sql/ops/tenant_cap_write.sql (team:ID, user:ID or none)
-- Back to what holds for all: psql -v most=default -v tenant=team:7 -f sql/ops/tenant_cap_write.sql
\if :{?tenant}
\else
\warn 'Which tenant? psql -v tenant=team:7 -v most=10 -f sql/ops/tenant_cap_write.sql'
\quit
\endif
\if :{?most}
\else
\warn 'How many jobs? psql -v tenant=team:7 -v most=10 -f sql/ops/tenant_cap_write.sql, or most=default'
\quit
\endif
INSERT INTO photo_generation_tenants (tenant, "maxRunning")
VALUES (left(:'tenant', 200), nullif(:'most', 'default')::integer)
ON CONFLICT (tenant) DO UPDATE SET "maxRunning" = excluded."maxRunning", "updatedAt" = now()
RETURNING tenant, "maxRunning";
