-- ops/retry_hooks_write: call photo_generation_on_image again at once for the images of ops/hooks.
-- When: after you have repaired that function. The next sweep of a worker does it, within seconds.
UPDATE photo_generation_images
SET "hookTries" = 1, "hookTryAt" = now()
WHERE "hookError" IS NOT NULL
RETURNING "jobId" AS job, index;
