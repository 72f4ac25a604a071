-- queue/cancel: end these jobs, as far as they have not ended. Called by db::jobs::cancel; an
-- operator's hand does the same. A running call is aborted within two seconds.
-- $1 ids.
-- Locked in the order of ids: two that cancel the same jobs must not wait for each other.
WITH unfinished AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE id = ANY ($1::bigint[]) AND status IN ('pending', 'processing', 'rate_limited')
    ORDER BY id
    FOR NO KEY UPDATE
)
UPDATE photo_generation_queue AS job
SET status = 'canceled'
FROM unfinished
WHERE job.id = unfinished.id
RETURNING job.id::bigint AS "id!"
