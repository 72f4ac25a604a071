-- queue/versions: a number for each of these jobs that changes when the job, an image or a step of it does.
-- Called by db::jobs::versions, twice a second for as long as somebody watches.
-- $1 ids.
-- Every UPDATE of a row, whoever makes it, has its transaction's number in xmin: so no trigger has to
-- count, and no write costs more because somebody may watch.
SELECT job.id::bigint AS "id!",
       hashtextextended(concat_ws(' ', job.xmin::text, images.xmins), 0) AS "version!"
FROM photo_generation_queue AS job
CROSS JOIN LATERAL (
    SELECT string_agg(part.xmin::text, ' ' ORDER BY part.step, part.index) AS xmins
    FROM (SELECT image.xmin, '' AS step, image.index FROM photo_generation_images AS image
          WHERE image."jobId" = job.id
          UNION ALL
          SELECT step.xmin, step.step, 0 FROM photo_generation_steps AS step
          WHERE step."jobId" = job.id) AS part
) AS images
WHERE job.id = ANY ($1::bigint[])
