-- ops/hooks: for which stored images did the app's photo_generation_on_image fail, and why?
-- When: photos are stored but missing in the app's own table. Workers try ten times; after a repair
-- of the function, ops/retry_hooks_write makes them try again.
-- Reads those images by index.
SELECT "jobId"          AS job,
       index,
       "storedAt",
       "hookTries"      AS tries,
       "hookTries" < 10 AS will_be_tried,
       "hookError"      AS error
FROM photo_generation_images
WHERE "hookError" IS NOT NULL
ORDER BY "storedAt" DESC
LIMIT 100;
