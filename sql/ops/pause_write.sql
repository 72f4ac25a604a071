-- ops/pause_write: begin nothing more of one model, one type, one tenant or of all, on any worker.
-- When: something is wrong with it, or with the bill. Calls in flight end as usual; jobs wait and
-- lose nothing. Until ops/resume_write; ops/paused shows what is paused. `safelight pause` does the
-- same, and refuses a name that nothing here has: here such a pause stops nothing.
-- One model:    psql -v model=gemini-3-pro-image -f sql/ops/pause_write.sql
-- One tenant:   psql -v what=tenant -v name=team:7 -f sql/ops/pause_write.sql (team:ID, user:ID or none)
-- One type:     psql -v name=tryon -v what=type -f sql/ops/pause_write.sql
-- All, and why: psql -v reason='the bill' -v what=all -f sql/ops/pause_write.sql
\if :{?model}
\set what model
\set name :model
\endif
\if :{?what}
\else
\warn 'What? psql -v model=gemini-3-pro-image -f sql/ops/pause_write.sql, or what=all, or what=type or tenant and name=...'
\quit
\endif
\if :{?name}
\else
\set name ''
\endif
\if :{?reason}
\else
\set reason ''
\endif
INSERT INTO photo_generation_pauses AS pause (what, name, reason)
VALUES (:'what', left(:'name', 200), nullif(:'reason', ''))
ON CONFLICT (what, name) DO UPDATE SET reason = coalesce(excluded.reason, pause.reason)
RETURNING what, name, reason, "pausedAt";
