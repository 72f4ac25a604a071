-- queue/grant: may a call be made now, and on which account? Called by db::limits::grant
-- immediately before each call. This is the seam for fleet-wide quotas: today it honours what
-- operators paused and what the provider let us know.
-- $1 provider, $2 accounts, $3 model.
-- Writes only to let the one probe of a blocked account through: who moves blockedUntil has it.
WITH account AS (
    SELECT a.name, l."limitedInARow" AS limited, l."blockedUntil" AS blocked, l.reason,
           CASE WHEN l.paused THEN 'infinity'
                ELSE greatest(l."cooldownUntil", l."blockedUntil", '-infinity') END AS usable
    FROM unnest($2::text[]) AS a (name)
    LEFT JOIN photo_generation_limits AS l
        ON l.provider = $1 AND l.account = a.name AND l.model = $3
),
best AS MATERIALIZED (
    SELECT * FROM account ORDER BY greatest(usable, now()), blocked IS NOT NULL, random() LIMIT 1
),
probe AS (
    UPDATE photo_generation_limits AS l
    SET "blockedUntil" = now() + interval '5 minutes', "updatedAt" = now()
    FROM best
    WHERE l.provider = $1 AND l.account = best.name AND l.model = $3
      AND best.usable <= now() AND best.blocked IS NOT NULL AND l."blockedUntil" <= now()
    RETURNING l.account
)
SELECT best.name AS "account!",
       coalesce(best.limited, 0) AS "limited_in_a_row!",
       best.blocked IS NOT NULL AS "blocked!",
       best.reason, now() AS "granted_at!",
       best.usable <= now() AND (best.blocked IS NULL OR EXISTS (SELECT FROM probe)) AS "granted!",
       -- Only of a cooldown is it known when it ends. Jobs that wait for a paused or blocked account
       -- go back without a moment to wait for: the claim looks at the account, and they go on as
       -- soon as it is well.
       CASE WHEN best.blocked IS NULL AND best.usable > now() AND best.usable < 'infinity'
            THEN extract(epoch FROM best.usable - now())::float8 END AS seconds
FROM best
