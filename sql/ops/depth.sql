-- ops/depth: how many jobs are in each state, by model, and how many of them are due?
-- When: after ops/pending, to see what the queue is made of. Due and not claimed: is the model
-- limited (ops/limits), is a worker alive (ops/workers)? A "retryAt" in the future is not due.
-- Scans the table, finished jobs too: 0.6 s per million rows.
SET TIME ZONE 'UTC';
SELECT coalesce(model, '(default)') AS model,
       status::text                 AS status,
       count(*)                     AS jobs,
       count(*) FILTER (WHERE status IN ('pending', 'rate_limited')
                          AND ("retryAt" IS NULL OR "retryAt" <= now())) AS due,
       min("createdAt")             AS oldest
FROM photo_generation_queue
GROUP BY 1, 2
ORDER BY 1, array_position(
    ARRAY['pending', 'rate_limited', 'processing', 'completed', 'failed', 'canceled'], status::text);
