-- queue/probe_again: the probe of a blocked account ended in its own mistake, so the next job may be one.
-- Called by db::limits.
-- $1 provider, $2 account, $3 model, $4 when the call was granted: a refusal that came after that
-- stays in force.
UPDATE photo_generation_limits
SET "blockedUntil" = now()
WHERE provider = $1 AND account = $2 AND model = $3
  AND "updatedAt" <= $4 AND "blockedUntil" > now()
