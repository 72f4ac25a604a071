-- queue/prune_delete: remove jobs for good, with their images (by cascade) and calls. Called by db::prune
-- when they are locked and were found due.
-- $1 jobs, $2 whether their objects go, too: then the keys are noted in this same statement, and no object
-- is touched before it is committed. Pictures that were uploaded for them are given free, which the sweep
-- of unused uploads looks at: it keeps what another job names.
-- 200 jobs of one image and one call each take 4 to 13 ms among a million, a third of it the cascade.
WITH object AS (
    INSERT INTO photo_generation_removals ("storageKey")
    SELECT image."storageKey" FROM photo_generation_images AS image
    WHERE $2::boolean AND image."jobId" = ANY ($1::bigint[]) AND image."storageKey" IS NOT NULL
    UNION
    -- Drawings of a try-on that came to no image: garments are their tenant's.
    SELECT step."storageKey" FROM photo_generation_steps AS step
    WHERE $2 AND step."jobId" = ANY ($1) AND step.step IN ('check', 'redraw')
      AND step."storageKey" IS NOT NULL
    ON CONFLICT DO NOTHING
),
named AS MATERIALIZED (
    SELECT DISTINCT coalesce('team:' || nullif(job."teamId"::text, ''),
                             'user:' || nullif(job."userId"::text, ''), 'none') AS tenant,
           found[1] AS name
    FROM photo_generation_queue AS job
    CROSS JOIN LATERAL regexp_matches(
        concat_ws(' ', job."trainingImageUrls"::text, job."exampleImageUrl"::text, job.payload::text),
        'upload:([0-9a-f]{64}\.[a-z]+)', 'g') AS found
    WHERE $2 AND job.id = ANY ($1)
),
-- One that a request has just named for a job to come is not given free.
free AS MATERIALIZED (
    SELECT upload.tenant, upload.name
    FROM named JOIN photo_generation_uploads AS upload USING (tenant, name)
    WHERE upload."usedAt" > '-infinity' AND upload."usedAt" < now() - interval '1 hour'
    FOR NO KEY UPDATE OF upload SKIP LOCKED
),
freed AS (
    UPDATE photo_generation_uploads AS upload SET "usedAt" = NULL FROM free
    WHERE upload.tenant = free.tenant AND upload.name = free.name
),
call AS (
    DELETE FROM photo_generation_calls WHERE "jobId" = ANY ($1)
),
job AS (
    DELETE FROM photo_generation_queue WHERE id = ANY ($1) RETURNING id
)
SELECT count(*) AS "jobs!" FROM job
