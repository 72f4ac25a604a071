-- demo/queue: a batch as its operator looks at it. Called by db::demo::queue. $1 batch.
SELECT id, status, "imagesCompleted" || ' of ' || "imagesTotal" AS images, attempts,
       coalesce("errorCode", (SELECT string_agg('image ' || index || ' ' || state, ', ' ORDER BY index)
                              FROM photo_generation_images
                              WHERE "jobId" = job.id AND state <> 'stored')) AS error,
       round(extract(epoch FROM "completedAt" - "createdAt"), 1) || ' s' AS took
FROM photo_generation_queue AS job WHERE "batchId" = $1 ORDER BY id
