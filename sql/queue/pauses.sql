-- queue/pauses: what is paused, the widest first. Called by db::pauses::list.
-- Accounts are paused in their own limits rows, which do not say since when.
SELECT what AS "what!", name AS "name!", reason, "pausedAt" AS paused_at, now() AS "read_at!"
FROM (
    SELECT what, name, reason, "pausedAt" FROM photo_generation_pauses
    UNION ALL
    SELECT 'account', concat_ws('/', provider, account, model), NULL, NULL
    FROM photo_generation_limits WHERE paused
) AS pause
ORDER BY array_position(ARRAY['all', 'type', 'model', 'tenant', 'account'], what), name
