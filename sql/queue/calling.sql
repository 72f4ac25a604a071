-- queue/calling: the last gate before money. Called by db::ledger::calling; committed before the
-- request leaves, so that whatever happens then, the call is on record. The row is at the same time
-- the fleet's permission for this call: see photo_generation_call, which is all of it.
-- $1 job, $2 lease, $3 call, $4 image index, $5 run, $6 tenant, $7 provider, $8 accounts, $9 model,
-- $10 seconds until the deadline, $11 calls at a time and $12 milliseconds between two for this
-- process, where the limits row sets nothing, $13 the step that the call is for (NULL: the image).
-- Says whether the call may be made, also when it is sent twice after a lost connection; whether it is
-- the expiry that forbids it: whoever sets "expiresAt" to an earlier moment while the job runs is
-- heeded here. A copy that arrives when the call is already settled changes nothing.
SELECT verdict AS "verdict!", coalesce(chosen, '') AS "account!", seconds, why,
       coalesce(limited, 0) AS "limited_in_a_row!", coalesce(troubled, false) AS "troubled!",
       "grantedAt" AS granted_at, held
FROM photo_generation_call($1, $2, $3, $4, $13, $5, $6, $7, $8, $9, $10, $11, $12)
