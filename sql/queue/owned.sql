-- queue/owned: the jobs that run $1 owns at this moment. Called by db::workers::owned each second
-- while a job runs; a job that is missing here was canceled, deleted or taken over.
-- Reads safelight_processing_idx: the live jobs of the fleet.
SELECT id::bigint AS "job!", lease AS "token!"
FROM photo_generation_queue
WHERE status = 'processing' AND run = $1
