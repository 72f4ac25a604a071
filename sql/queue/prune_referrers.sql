-- queue/prune_referrers: foreign keys of the app's tables that refer to what is pruned. Called by
-- db::prune. Removing such a job would remove or change rows of the app, or be refused.
--   condition   whether a row of that table refers to the row "job", "batch" or, by an image of it, "job"
--   quick       the look is by an index, or the table is small. Postgres itself looks once for each row that
--               is deleted, so without an index 200 jobs read the table 200 times.
WITH ours AS (
    SELECT 'public.photo_generation_queue'::regclass AS queue,
           'public.photo_generation_batches'::regclass AS batches,
           'public.photo_generation_images'::regclass AS images
)
SELECT key.conname::text AS "name!", key.confrelid = ours.batches AS "to_batches!",
       format('%I.%I', space.nspname, other.relname) AS "table!",
       (SELECT string_agg(quote_ident(here.attname), ', ' ORDER BY place)
        FROM unnest(key.conkey) WITH ORDINALITY AS mine (number, place)
        JOIN pg_attribute AS here ON here.attrelid = key.conrelid AND here.attnum = mine.number) AS "columns!",
       format(CASE key.confrelid
                  WHEN ours.images THEN 'EXISTS (SELECT FROM public.photo_generation_images AS image JOIN %I.%I AS other ON %s WHERE image."jobId" = job.id)'
                  ELSE 'EXISTS (SELECT FROM %I.%I AS other WHERE %s)' END,
              space.nspname, other.relname, pairs.text) AS "condition!",
       pg_table_size(other.oid) < 1000000
           OR EXISTS (SELECT FROM pg_index AS index
                      WHERE index.indrelid = other.oid AND index.indisvalid
                        AND index.indkey[0] = ANY (key.conkey)
                        AND (index.indpred IS NULL
                             OR pg_get_expr(index.indpred, index.indrelid) LIKE '% IS NOT NULL)')) AS "quick!"
FROM ours
JOIN pg_constraint AS key ON key.confrelid IN (ours.queue, ours.batches, ours.images)
JOIN pg_class AS other ON other.oid = key.conrelid
JOIN pg_namespace AS space ON space.oid = other.relnamespace
CROSS JOIN LATERAL (
    SELECT string_agg(format('other.%I = %s.%I', here.attname,
                             CASE key.confrelid WHEN ours.images THEN 'image'
                                                WHEN ours.batches THEN 'batch' ELSE 'job' END,
                             there.attname), ' AND ') AS text
    FROM unnest(key.conkey, key.confkey) AS pair (here, there)
    JOIN pg_attribute AS here ON here.attrelid = key.conrelid AND here.attnum = pair.here
    JOIN pg_attribute AS there ON there.attrelid = key.confrelid AND there.attnum = pair.there
) AS pairs
WHERE key.contype = 'f' AND key.conparentid = 0
  AND NOT (key.conrelid IN (ours.images, 'public.photo_generation_steps'::regclass)
           AND key.confrelid = ours.queue)
  AND NOT (key.conrelid = ours.queue AND key.confrelid = ours.batches)
ORDER BY "table!", "name!"
