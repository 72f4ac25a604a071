-- ops/resume_write: go on with what ops/pause_write has paused.
-- When: after the repair. Idle workers are woken at once. Nothing is returned if it was not paused; an
-- account that is paused in photo_generation_limits is another matter, see ops/limits.
-- One model:   psql -v model=gemini-3-pro-image -f sql/ops/resume_write.sql
-- One tenant:  psql -v what=tenant -v name=team:7 -f sql/ops/resume_write.sql (team:ID, user:ID or none)
-- One type:    psql -v name=tryon -v what=type -f sql/ops/resume_write.sql
-- All, but what else is paused: psql -v what=all -f sql/ops/resume_write.sql
\if :{?model}
\set what model
\set name :model
\endif
\if :{?what}
\else
\warn 'What? psql -v model=gemini-3-pro-image -f sql/ops/resume_write.sql, or what=all, or what=type or tenant and name=...'
\quit
\endif
\if :{?name}
\else
\set name ''
\endif
DELETE FROM photo_generation_pauses
WHERE what = :'what' AND name = left(:'name', 200)
RETURNING what, name, reason, "pausedAt";
