-- queue/prune_ended: the ended jobs among the next rows of the queue, in the order of their ids. Called
-- by db::prune::Walk, which goes over the whole table in steps.
-- $1 after which id, $2 how many rows to look at. One row; "reached" is NULL past the last one.
-- By the primary key: an index on when jobs ended would cost every insert and every finish, for what is
-- asked once an hour. 5,000 rows take some 5 ms, among a million.
SELECT max(id) AS reached,
       coalesce(array_agg(id) FILTER (WHERE status IN ('completed', 'failed', 'canceled')), '{}') AS "ended!"
FROM (SELECT id::bigint AS id, status::text AS status
      FROM photo_generation_queue WHERE id > $1 ORDER BY id LIMIT $2) AS next
