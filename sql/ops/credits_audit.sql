-- ops/credits_audit: do the accounts of credits add up?
-- When: at the end of a month, after a restore, or when somebody wrote to these tables by hand. No line is
-- the good answer; each line is something that does not add up.
--   account   what a tenant has = granted - reserved + refunded
--   round     of each job, each time it was reserved for: reserved = captured + refunded + open
--   image     a picture that is stored is paid for
--   job       nothing is open of a job that has ended or is gone, but images that are still being called;
--             the workers settle what is, once a minute
-- Reads the whole account book, in one snapshot: some seconds for a million entries.
WITH account AS (
    SELECT tenant, sum(has) AS has, sum(should) AS should
    FROM (SELECT tenant, balance AS has, 0 AS should FROM photo_generation_credits
          UNION ALL
          SELECT tenant, amount, 0 FROM photo_generation_credit_returns
          UNION ALL
          SELECT tenant, 0, CASE kind WHEN 'grant' THEN amount WHEN 'reserve' THEN -amount
                                      WHEN 'refund' THEN amount ELSE 0 END
          FROM photo_generation_credit_entries) AS line
    GROUP BY tenant
    HAVING sum(has) <> sum(should)
),
round AS (
    SELECT job, round, min(tenant) AS tenant, sum(reserved) AS reserved, sum(settled) AS settled
    FROM (SELECT "jobId" AS job, round, tenant, CASE kind WHEN 'reserve' THEN amount ELSE 0 END AS reserved,
                 CASE kind WHEN 'reserve' THEN 0 ELSE amount END AS settled
          FROM photo_generation_credit_entries WHERE kind <> 'grant'
          UNION ALL
          SELECT "jobId", round, tenant, 0, each * cardinality(open)
          FROM photo_generation_credit_reservations) AS line
    GROUP BY job, round
    HAVING sum(reserved) <> sum(settled)
),
image AS (
    SELECT held.tenant, held."jobId" AS job, held.round, held.index, job.id IS NULL AS gone,
           coalesce(job.status::text, 'gone') AS status, made.state
    FROM (SELECT *, unnest(open) AS index FROM photo_generation_credit_reservations) AS held
    LEFT JOIN photo_generation_queue AS job
           ON job.id = held."jobId" AND coalesce(held."jobUuid" = job."jobId", held."jobUuid" IS NULL)
    LEFT JOIN photo_generation_images AS made ON made."jobId" = job.id AND made.index = held.index
)
SELECT 'account' AS what, tenant, NULL::bigint AS job, NULL::integer AS round,
       format('has %s, should have %s', has, should) AS problem
FROM account
UNION ALL
SELECT 'round', tenant, job, round,
       format('reserved %s, but captured, refunded and open are %s', reserved, settled)
FROM round
UNION ALL
SELECT 'image', tenant, job, round, format('image %s is stored and not captured', index)
FROM image WHERE state = 'stored'
UNION ALL
SELECT 'job', tenant, job, round, format('image %s is open, but the job is %s', index, status)
FROM image
WHERE (gone OR status IN ('completed', 'failed', 'canceled'))
  AND state IS DISTINCT FROM 'calling' AND state IS DISTINCT FROM 'stored'
ORDER BY 1, 2, 3, 4, 5;
