-- queue/plan: one image row per requested image, those that are missing. Called by
-- db::ledger::plan right after the claim, with what the row asks for, now understood.
-- $1 job, $2 lease, $3 images.
-- Fenced by the lock on the job's row: a joined lease would not be read again after a wait.
WITH own AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
planned AS (
    INSERT INTO photo_generation_images ("jobId", index)
    SELECT own.id, index FROM own CROSS JOIN generate_series(1, $3) AS index
    ON CONFLICT ("jobId", index) DO NOTHING
)
UPDATE photo_generation_queue AS job
SET "imagesTotal" = greatest($3, coalesce(job."imagesCompleted", 0)), "updatedAt" = now()
FROM own
WHERE job.id = own.id
