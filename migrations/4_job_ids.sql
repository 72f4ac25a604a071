-- Every row gets its "jobId", by which the outside knows it: on an app's own table the older rows have
-- none. In small transactions, so that nobody waits long for a row; rows that somebody holds locked
-- are passed by, and get theirs on the second pass or when they are claimed.
DO $$
DECLARE
    reached bigint;
BEGIN
    FOR pass IN 1 .. 2 LOOP
        reached := -9223372036854775808;
        LOOP
            WITH nameless AS MATERIALIZED (
                SELECT id FROM public.photo_generation_queue
                WHERE id > reached AND "jobId" IS NULL
                ORDER BY id
                LIMIT 1000
                FOR NO KEY UPDATE SKIP LOCKED
            ),
            named AS (
                UPDATE public.photo_generation_queue AS job SET "jobId" = gen_random_uuid()
                FROM nameless WHERE job.id = nameless.id
                RETURNING job.id
            )
            SELECT max(id) INTO reached FROM named;
            COMMIT;
            EXIT WHEN reached IS NULL;
        END LOOP;
    END LOOP;
END $$;
