-- ops/paused: what is paused, since when, and why.
-- When: jobs are due, workers live, and nothing happens. No row: nothing is paused. `safelight pause`
-- shows the same. What is paused by ops/pause_write goes on by ops/resume_write; an account by
-- `safelight limits set PROVIDER/ACCOUNT/MODEL --paused false`.
SET TIME ZONE 'UTC';
SELECT what, name, date_trunc('second', "pausedAt") AS since, reason
FROM photo_generation_pauses
UNION ALL
SELECT 'account', concat_ws('/', provider, account, model), NULL, NULL
FROM photo_generation_limits WHERE paused
ORDER BY what, name;
