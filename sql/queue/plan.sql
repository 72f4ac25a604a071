-- queue/plan: one image row per requested image, those that are missing. Called by
-- db::ledger::plan right after the claim, with what the row asks for, now understood.
-- $1 job, $2 lease, $3 images.
-- Fenced by the lock on the job's row: a joined lease would not be read again after a wait.
-- Progress is counted anew from the images, whatever hands did to the counters.
WITH own AS MATERIALIZED (
    SELECT id FROM photo_generation_queue
    WHERE id = $1 AND lease = $2 AND status = 'processing'
    FOR NO KEY UPDATE
),
planned AS (
    INSERT INTO photo_generation_images ("jobId", index)
    SELECT own.id, index FROM own CROSS JOIN generate_series(1, $3) AS index
    ON CONFLICT ("jobId", index) DO NOTHING
),
-- Calling, but its call has been settled: nobody else would ever look at it again.
healed AS (
    UPDATE photo_generation_images AS image
    SET state = 'planned', "updatedAt" = now()
    FROM own
    WHERE image."jobId" = own.id AND image.state = 'calling'
      AND NOT EXISTS (SELECT FROM photo_generation_calls AS call
                      WHERE call.id = image."callId" AND call.state = 'calling')
),
stored AS (
    SELECT count(*)::integer AS images, jsonb_agg(coalesce(url, "storageKey") ORDER BY index) AS keys
    FROM photo_generation_images WHERE "jobId" = $1 AND state = 'stored'
)
UPDATE photo_generation_queue AS job
SET "imagesTotal" = greatest($3, stored.images), "imagesCompleted" = stored.images,
    "imageUrls" = stored.keys, "updatedAt" = now()
FROM own CROSS JOIN stored
WHERE job.id = own.id
