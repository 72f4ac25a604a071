-- queue/recovered: a call on a limited or blocked account went through. Called by db::limits.
-- $1 provider, $2 account, $3 model, $4 when the call was granted: a refusal that came after that
-- stays in force.
UPDATE photo_generation_limits
SET "limitedInARow" = 0, "blockedUntil" = NULL, reason = NULL, "cooldownUntil" = NULL,
    "updatedAt" = now()
WHERE provider = $1 AND account = $2 AND model = $3
  AND "updatedAt" <= $4
  AND ("limitedInARow" > 0 OR "blockedUntil" IS NOT NULL OR reason IS NOT NULL)
