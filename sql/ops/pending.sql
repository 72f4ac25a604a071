-- ops/pending: how many jobs wait to be claimed?
-- When: the first number to watch. It may be large; it should not grow all day. Which models they
-- wait for: ops/depth. Those that the provider refused are counted in ops/rate_limited.
-- Reads every pending row: 0.2 s for a million.
SELECT count(*) AS pending
FROM photo_generation_queue
WHERE status = 'pending';
