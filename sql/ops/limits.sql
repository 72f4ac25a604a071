-- ops/limits: which accounts and models take no calls now, until when, and why?
-- When: jobs are due and nothing happens. No row: nothing is limited.
-- paused: by an operator, on this account; goes on by `safelight limits set ... --paused false`. What is
-- paused on all accounts is in ops/paused. blocked: bad key, no credit, model not on the plan
-- or gone; one job is tried every five minutes, after the repair ops/unblock_write goes on at once.
-- cooling down: the provider asked for it, or its daily quota is used up; ends by itself.
SELECT provider,
       account,
       model,
       CASE WHEN paused                     THEN 'paused'
            WHEN "blockedUntil" IS NOT NULL THEN 'blocked'
            ELSE 'cooling down' END AS state,
       CASE WHEN NOT paused AND greatest("blockedUntil", "cooldownUntil") < 'infinity'
            THEN date_trunc('second', greatest("blockedUntil", "cooldownUntil", now()) - now())
            END AS next_call_in,
       reason
FROM photo_generation_limits
WHERE paused OR "blockedUntil" IS NOT NULL OR "cooldownUntil" > now()
ORDER BY state, provider, account, model;
