-- queue/limited: the provider lets us know that an account takes no calls to a model for now; the
-- whole fleet heeds it from its next look on. Called by db::limits.
-- $1 provider, $2 account, $3 model, $4 seconds to cool down (NULL: none), $5 until the next quota
-- day, $6 429s in a row by now, $7 blocked (one probe every five minutes), $8 reason, $9 when the call
-- that was refused was granted, $10 calls a minute that the provider says it takes (NULL: it does not).
-- Never shortens a cooldown; calls that were refused together count once. Says whether it is news:
-- to the first of those that were refused together, and not to a probe of a blocked account.
WITH before AS MATERIALIZED (
    SELECT "blockedUntil" IS NOT NULL AS blocked, coalesce("cooldownUntil" > now(), false) AS cooling
    FROM photo_generation_limits
    WHERE provider = $1 AND account = $2 AND model = $3
    FOR NO KEY UPDATE
),
known AS MATERIALIZED (
    SELECT coalesce(bool_or(CASE WHEN $7 THEN blocked ELSE cooling END), false) AS already FROM before
),
-- What it took in the minute before that call is what it takes now, if that were enough to be meant:
-- by the time of its answer some of that minute is over, and nothing may have come after. Calls of
-- others are not in our ledger, so at least a twentieth of what operators allow is believed in. Where
-- they say nothing, a 429 now and then would be taken for a quota: two workers that begin would go at
-- the pace of their first seconds. There the cooldown is enough.
learned AS MATERIALIZED (
    SELECT count(*) AS calls FROM photo_generation_calls
    WHERE provider = $1 AND account = $2 AND model = $3 AND state <> 'limited'
      AND "startedAt" > $9::timestamptz - photo_generation_quota_window() AND "startedAt" <= $9
      AND $4::float8 IS NOT NULL AND NOT $7
)
INSERT INTO photo_generation_limits AS l
    (provider, account, model, "cooldownUntil", "limitedInARow", "blockedUntil", reason,
     "statedPerMinute", "statedAt")
SELECT $1, $2, $3,
        CASE WHEN $5 THEN photo_generation_next_quota_day() ELSE now() + make_interval(secs => $4) END,
        $6, CASE WHEN $7 THEN now() + interval '5 minutes' END, $8,
        $10::integer, CASE WHEN $10 IS NOT NULL THEN now() END
FROM known
ON CONFLICT (provider, account, model) DO UPDATE
SET "cooldownUntil" = greatest(l."cooldownUntil", excluded."cooldownUntil"),
    "limitedInARow" = greatest(l."limitedInARow", excluded."limitedInARow"),
    "blockedUntil" = coalesce(excluded."blockedUntil", l."blockedUntil"),
    reason = excluded.reason,
    "learnedPerMinute" = CASE
        WHEN $4::float8 IS NOT NULL AND l."requestsPerMinute" IS NOT NULL
             AND ((SELECT calls FROM learned) >= least(20, l."requestsPerMinute" / 2)
                  OR l."learnedAt" > now() - 10 * photo_generation_quota_window())
        THEN greatest(1, ceil(l."requestsPerMinute" * 0.05),
                      least((SELECT calls FROM learned), l."requestsPerMinute"))
        ELSE l."learnedPerMinute" END,
    "learnedAt" = CASE
        WHEN $4::float8 IS NOT NULL AND l."requestsPerMinute" IS NOT NULL
             AND ((SELECT calls FROM learned) >= least(20, l."requestsPerMinute" / 2)
                  OR l."learnedAt" > now() - 10 * photo_generation_quota_window())
        THEN now() ELSE l."learnedAt" END,
    "statedPerMinute" = coalesce(excluded."statedPerMinute", l."statedPerMinute"),
    "statedAt" = coalesce(excluded."statedAt", l."statedAt"),
    "updatedAt" = now()
RETURNING NOT (SELECT already FROM known) AS "news!"
