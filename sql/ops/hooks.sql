-- ops/hooks: for which stored images did the app's photo_generation_on_image fail, and why?
-- When: photos are stored but missing in the app's own table. Workers try
-- again and again, after waits that double up to an hour; after a repair of the function,
-- ops/retry_hooks_write makes them try at once.
-- Reads those images by index.
SELECT "jobId"          AS job,
       index,
       "storedAt",
       "hookTries" AS tries,
       "hookTryAt" AS next_try,
       "hookError" AS error
FROM photo_generation_images
WHERE "hookError" IS NOT NULL
ORDER BY "storedAt" DESC
LIMIT 100;
