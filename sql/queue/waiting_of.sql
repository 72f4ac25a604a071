-- queue/waiting_of: about how many jobs of a tenant wait. Called by db::jobs::waiting before an enqueue
-- over HTTP; two at once may both find room.
-- $1 tenant, $2 model and $3 type of the job that is to come, $4 count no further than this.
-- By safelight_fresh_idx and safelight_retrying_idx, kind by kind: those that anybody waits for, and the
-- coming job's own. Another kind that no claim has seen yet is not counted.
SELECT count(*) AS "waiting!"
FROM (
    SELECT
    FROM (SELECT model, type FROM photo_generation_kinds()
          UNION SELECT photo_generation_model($2), photo_generation_type($3)) AS kind
    CROSS JOIN LATERAL (
        (SELECT FROM photo_generation_queue AS job
         WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
           AND photo_generation_model(job.model::text) = kind.model
           AND photo_generation_type(job.type::text) = kind.type
           AND photo_generation_tenant("teamId"::text, "userId"::text) = left($1, 200)
         LIMIT $4)
        UNION ALL
        (SELECT FROM photo_generation_queue AS job
         WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NOT NULL
           AND photo_generation_model(job.model::text) = kind.model
           AND photo_generation_type(job.type::text) = kind.type
           AND photo_generation_tenant("teamId"::text, "userId"::text) = left($1, 200)
         LIMIT $4)
    ) AS waiting
    LIMIT $4
) AS counted
