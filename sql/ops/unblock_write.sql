-- ops/unblock_write: forget what stopped an account: bad key, no credit, used up quota.
-- When: after the repair at the provider's, to go on at once instead of at the next try. (A new key
-- is a setting: restart the workers with it first.) What still is wrong stops it again, at the cost
-- of one refused call. Idle workers are woken at once. Paused models stay paused.
-- Which account: psql -v account=key-1a2b3c4d -f sql/ops/unblock_write.sql ("default" when not said).
-- Of which provider: psql -v provider=openai -f sql/ops/unblock_write.sql (of each when not said).
\if :{?account}
\else
\set account default
\endif
\if :{?provider}
\else
\set provider ''
\endif
UPDATE photo_generation_limits
SET "blockedUntil" = NULL, "cooldownUntil" = NULL, "limitedInARow" = 0, reason = NULL,
    "learnedPerMinute" = NULL, "learnedAt" = NULL, "statedPerMinute" = NULL, "statedAt" = NULL,
    "updatedAt" = now()
WHERE account = :'account' AND :'provider' IN ('', provider)
  AND ("blockedUntil" IS NOT NULL OR "cooldownUntil" IS NOT NULL OR reason IS NOT NULL)
RETURNING provider, account, model, paused;
