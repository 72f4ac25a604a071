-- queue/prune_batches: ended batches without any job among the next rows, old enough to be pruned. Called
-- by db::prune, which locks them and looks once more before it removes them.
-- $1 after which id, $2 how many rows to look at, $3 days after which completed ones go, $4 the same for
-- failed ones; 0: never. One row; "reached" is NULL past the last one.
-- By the primary key and safelight_batch_idx: 5,000 batches with jobs take 7 to 15 ms.
SELECT max(next.id) AS reached,
       coalesce(array_agg(next.id) FILTER (
           WHERE isfinite(next.ended)
             AND next.ended < now() - make_interval(days => CASE next.status
                                                                WHEN 'completed' THEN nullif($3::integer, 0)
                                                                WHEN 'failed' THEN nullif($4::integer, 0) END)
             AND NOT EXISTS (SELECT FROM photo_generation_queue AS job WHERE job."batchId" = next.id)
       ), '{}') AS "empty!"
FROM (SELECT id::bigint AS id, status::text AS status,
             coalesce("completedAt", "createdAt")::timestamptz AS ended
      FROM photo_generation_batches WHERE id > $1 ORDER BY id LIMIT $2) AS next
