-- ops/batches: which batches are still generating, and how far are they?
-- When: somebody waits for a batch. One without unfinished jobs is closed by the next sweep of a
-- living worker; it should not stay here.
-- Scans the batches, and reads the jobs of those by index.
SET TIME ZONE 'UTC';
SELECT batch.id,
       CASE WHEN isfinite(batch."createdAt")
            THEN date_trunc('second', now() - batch."createdAt") END AS age,
       jobs.number                                     AS jobs,
       jobs.unfinished,
       jobs.failed,
       jobs.images || '/' || jobs.wanted               AS images
FROM photo_generation_batches AS batch
CROSS JOIN LATERAL (
    SELECT count(*)                                                 AS number,
           count(*) FILTER (WHERE status IN ('pending', 'processing', 'rate_limited')) AS unfinished,
           count(*) FILTER (WHERE status = 'failed')                AS failed,
           coalesce(sum("imagesCompleted"), 0)                      AS images,
           coalesce(sum(coalesce("imagesTotal", "numImagesPerExample")), 0) AS wanted
    FROM photo_generation_queue
    WHERE "batchId" = batch.id
) AS jobs
WHERE batch.status = 'generating'
ORDER BY batch."createdAt", batch.id;
