-- demo/obstacle: when the first of some accounts takes calls to a model again, and why not now.
-- Called by db::demo::obstacle. $1 provider, $2 accounts, $3 model.
SELECT extract(epoch FROM until - now())::float8 AS seconds, reason
FROM (SELECT greatest("cooldownUntil", "blockedUntil") AS until, reason
      FROM photo_generation_limits
      WHERE provider = $1 AND account = ANY ($2) AND model = $3) AS account
ORDER BY until NULLS FIRST
LIMIT 1
