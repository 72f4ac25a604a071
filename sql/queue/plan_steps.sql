-- queue/plan_steps: one row per step of a job, those that are missing. Called by db::steps::plan.
-- $1 job, $2 lease, $3 steps.
-- Fenced as queue/plan is. One row; none when the lease is lost.
WITH own AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
planned AS (
    INSERT INTO photo_generation_steps ("jobId", step)
    SELECT own.id, step FROM own CROSS JOIN unnest($3::text[]) AS step
    ON CONFLICT ("jobId", step) DO NOTHING
),
-- Calling, but its call has been settled: nobody else would ever look at it again.
healed AS (
    UPDATE photo_generation_steps AS step
    SET state = 'planned', "updatedAt" = now()
    FROM own
    WHERE step."jobId" = own.id AND step.state = 'calling'
      AND NOT EXISTS (SELECT FROM photo_generation_calls AS call
                      WHERE call.id = step."callId" AND call.state = 'calling')
)
SELECT id::bigint AS "id!" FROM own
