-- An app as it is found in the wild, with its own queue, its old worker's traces in it, and everything
-- that is narrow or contradicts itself there. $USER, $STATUS, $BATCH_STATUS and $TIME are types.

CREATE TABLE users (
    id       $USER PRIMARY KEY DEFAULT $NEW_USER,
    "openId" varchar(64) NOT NULL UNIQUE
);
CREATE TABLE models (id serial PRIMARY KEY, name text NOT NULL);

CREATE TABLE photo_generation_batches (
    id                     serial PRIMARY KEY,
    "userId"               $USER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    "modelId"              integer REFERENCES models (id) ON DELETE SET NULL,
    status                 $BATCH_STATUS NOT NULL DEFAULT 'generating',
    "totalImagesGenerated" integer NOT NULL DEFAULT 0,
    "creditsUsed"          integer NOT NULL DEFAULT 0,
    "createdAt"            timestamp NOT NULL DEFAULT now(),
    "updatedAt"            timestamp NOT NULL DEFAULT now(),
    "completedAt"          timestamp
);

CREATE TABLE photo_generation_queue (
    id                    serial PRIMARY KEY,
    "batchId"             integer NOT NULL REFERENCES photo_generation_batches (id) ON DELETE CASCADE,
    "userId"              $USER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    "modelId"             integer NOT NULL REFERENCES models (id) ON DELETE SET NULL,
    "exampleImageId"      integer NOT NULL,
    "exampleImageUrl"     text NOT NULL,
    "exampleImagePrompt"  text,
    "trainingImageUrls"   jsonb NOT NULL DEFAULT '[]'::jsonb,
    "basePrompt"          text NOT NULL,
    "aspectRatio"         text NOT NULL CHECK ("aspectRatio" IN ('1:1', '9:16', '16:9')),
    "numImagesPerExample" integer NOT NULL DEFAULT 4,
    glasses               text NOT NULL,
    "hairColor"           text,
    "hairStyle"           text,
    backgrounds           jsonb NOT NULL DEFAULT '[]'::jsonb,
    styles                jsonb NOT NULL DEFAULT '[]'::jsonb,
    status                $STATUS NOT NULL DEFAULT 'pending',
    attempts              integer NOT NULL DEFAULT 0,
    "maxAttempts"         integer NOT NULL DEFAULT 5,
    "retryAt"             $TIME,
    "lockedBy"            varchar(64),
    "lockedAt"            $TIME,
    "errorMessage"        varchar(200),
    "createdAt"           $TIME NOT NULL DEFAULT now(),
    "processedAt"         $TIME,
    "completedAt"         $TIME
);
CREATE INDEX photo_queue_status_idx ON photo_generation_queue (status, "retryAt")
    WHERE status IN ('pending', 'rate_limited');
CREATE INDEX photo_queue_batch_idx ON photo_generation_queue ("batchId");

CREATE FUNCTION notify_photo_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('photo_jobs', row_to_json(NEW)::text);
    RAISE NOTICE 'job % is %', NEW.id, NEW.status;
    RETURN NEW;
END $$;
CREATE TRIGGER photo_job_trigger AFTER INSERT OR UPDATE ON photo_generation_queue
    FOR EACH ROW EXECUTE FUNCTION notify_photo_job();

CREATE TABLE photos (
    id serial PRIMARY KEY, "userId" $USER REFERENCES users (id), "jobId" integer NOT NULL, url text NOT NULL
);

-- ------------------------------------------------------------------------------------------ rows

INSERT INTO users ("openId") SELECT 'open-' || n FROM generate_series(1, 3) AS n;
INSERT INTO models (name) VALUES ('a model'), ('another');
INSERT INTO photo_generation_batches ("userId", "modelId", status, "createdAt")
SELECT (SELECT id FROM users ORDER BY "openId" OFFSET n % 3 LIMIT 1), 1,
       CASE WHEN n <= 8 THEN 'completed' ELSE 'generating' END::$BATCH_STATUS, now() - interval '2 days'
FROM generate_series(1, 12) AS n;

-- Long done; the old worker left its locks on them, and no moment on those that failed.
INSERT INTO photo_generation_queue
    ("batchId", "userId", "modelId", "exampleImageId", "exampleImageUrl", "basePrompt", "aspectRatio",
     "numImagesPerExample", glasses, status, attempts, "lockedBy", "lockedAt", "createdAt", "completedAt",
     "errorMessage")
SELECT batch.id, batch."userId", 1, n, '', 'a person, ' || n, '1:1', 2, 'no',
       CASE WHEN n % 5 = 0 THEN 'failed' ELSE 'completed' END::$STATUS, n % 4,
       'edge-worker-1', now() - interval '1 day', now() - interval '2 days',
       CASE WHEN n % 5 = 0 THEN NULL ELSE now() - interval '1 day' END,
       CASE WHEN n % 5 = 0 THEN 'the model said no' END
FROM photo_generation_batches AS batch CROSS JOIN generate_series(1, 40) AS n
WHERE batch.id <= 8;
-- What waits, or is held by a worker that died an hour ago.
INSERT INTO photo_generation_queue
    ("batchId", "userId", "modelId", "exampleImageId", "exampleImageUrl", "basePrompt", "aspectRatio",
     "numImagesPerExample", glasses, status, attempts, "retryAt", "lockedBy", "lockedAt", "createdAt")
SELECT batch.id, batch."userId", 1, 1, '', 'a person by a lake', '9:16', 1, 'no',
       kind.status::$STATUS, kind.attempts, now() + kind.due, kind.locked_by, now() + kind.locked,
       now() - interval '1 hour'
FROM photo_generation_batches AS batch
CROSS JOIN (VALUES
    ('pending', 0, NULL::interval, NULL, NULL::interval),
    ('pending', 2, '-1 minute', NULL, NULL),
    ('rate_limited', 1, '-10 seconds', 'edge-worker-1', '-20 minutes'),
    ('rate_limited', 4, '1 second', NULL, NULL),
    ('processing', 1, NULL, 'edge-worker-1', '-1 hour')
) AS kind (status, attempts, due, locked_by, locked)
WHERE batch.id > 8;
