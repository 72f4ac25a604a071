//! A queue as operators meet it: a job in every state, a worker that lives, and some that do not.

use std::time::Duration;

use crate::harness::{InProcess, Stage};

/// What no look may change.
pub(super) const FINGERPRINT: &str = r#"SELECT concat_ws('|',
    (SELECT string_agg(concat(id, status, lease, "retryAt"), ',' ORDER BY id) FROM photo_generation_queue),
    (SELECT string_agg(concat(account, model, paused, "blockedUntil", "cooldownUntil"), ',' ORDER BY account, model) FROM photo_generation_limits),
    (SELECT string_agg(concat(what, name), ',' ORDER BY what, name) FROM photo_generation_pauses))"#;

/// Jobs of another type than the worker takes, so that they stay as they are.
const JOBS: &str = r#"
-- Yesterday, so that what happened around it happened on one day, whenever this runs.
CREATE FUNCTION noon() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT (date_trunc('day', now() AT TIME ZONE 'UTC') - interval '12 hours') AT TIME ZONE 'UTC'
$$;

INSERT INTO photo_generation_batches (id, status, "createdAt")
VALUES (1, 'generating', now() - interval '1 hour'), (2, 'completed', now() - interval '1 day');

INSERT INTO photo_generation_queue
    (id, type, status, "createdAt", priority, "batchId", model, "retryAt", "errorCode")
VALUES
    (101, 'image_edit', 'pending', now() - interval '50 minutes', 'normal', 1, NULL, NULL, NULL),
    (102, 'image_edit', 'pending', now() - interval '45 minutes', 'urgent', 1, NULL, NULL, NULL),
    (103, 'image_edit', 'pending', now() - interval '3 hours', 'normal', NULL, 'gemini-3-pro-image', NULL, NULL),
    (104, 'image_edit', 'pending', now() - interval '2 hours', 'normal', NULL, NULL, now() + interval '1 hour', 'provider_error'),
    (105, 'image_edit', 'rate_limited', now() - interval '2 hours', 'normal', NULL, 'gemini-3.1-flash-image', now() + interval '10 minutes', 'rate_limited');

INSERT INTO photo_generation_queue
    (id, type, status, "createdAt", "startedAt", "updatedAt", run, "lockedBy", "lockedAt")
VALUES
    (106, 'image_edit', 'processing', now() - interval '1 hour', now() - interval '1 hour', now(), gen_random_uuid(), 'gone', now()),
    (107, 'image_edit', 'processing', now() - interval '1 hour', NULL, now(), NULL, 'old-worker', now() - interval '6 minutes'),
    (113, 'image_edit', 'processing', now() - interval '1 hour', now() - interval '1 hour', now(), '00000000-0000-0000-0000-000000000113', 'silent', now()),
    (114, 'image_edit', 'processing', now() - interval '1 hour', now() - interval '1 hour', now() - interval '20 minutes', '00000000-0000-0000-0000-000000000114', 'asleep', now());
INSERT INTO photo_generation_workers (run, label, version, "renewedAt")
VALUES ('00000000-0000-0000-0000-000000000113', 'silent', '0', now() - interval '2 minutes'),
       ('00000000-0000-0000-0000-000000000114', 'asleep', '0', now() + interval '1 hour');

INSERT INTO photo_generation_queue
    (id, type, status, "batchId", "userId", "numImagesPerExample", "imagesTotal", "imagesCompleted",
     "createdAt", "startedAt", "completedAt", "errorCode", "errorMessage")
VALUES
    (108, 'image_edit', 'completed', 1, '7', 3, 3, 2, noon() - interval '1 hour', noon() - interval '1 minute', noon() + interval '3 minutes', NULL, NULL),
    (109, 'image_edit', 'failed', 1, '7', 4, 4, 0, now() - interval '3 hours', NULL, now() - interval '2 hours', 'moderation_output', 'Refused before.'),
    (110, 'image_edit', 'failed', NULL, '7', 4, 4, 0, now() - interval '3 hours', NULL, now() - interval '1 hour', 'moderation_output', 'The picture was refused.'),
    (111, 'image_edit', 'failed', NULL, '7', 4, 4, 0, now() - interval '3 days', NULL, now() - interval '2 days', 'expired', 'Too late.'),
    (112, 'image_edit', 'canceled', 2, '7', 4, 4, 0, now() - interval '3 days', NULL, now() - interval '2 days', NULL, NULL);
"#;

/// What became of the images of job 108, and what calls cost on another account.
const LEDGER: &str = r#"
INSERT INTO photo_generation_images
    ("jobId", index, state, "storageKey", "mimeType", bytes, width, height, sha256, "storedAt", "updatedAt", "hookError", "hookTries", "hookTryAt")
VALUES
    (108, 1, 'stored', 'user=3A7/a/1.png', 'image/png', 9, 3, 3, 'x', noon(), now(), NULL, 0, NULL),
    (108, 2, 'stored', 'user=3A7/a/2.png', 'image/png', 9, 3, 3, 'x', noon() + interval '1 minute', now(), 'no table photos', 3, '2999-01-01'),
    (108, 3, 'refused', NULL, NULL, NULL, NULL, NULL, NULL, NULL, noon() + interval '2 minutes', NULL, 0, NULL);

INSERT INTO photo_generation_calls
    (id, "jobId", "jobUuid", tenant, index, lease, run, attempt, provider, account, model, "deadlineAt",
     state, accepted, "startedAt", "endedAt", "inputTokens", "outputTokens", "costUsd")
SELECT gen_random_uuid(), call.job, gen_random_uuid(), 'user:7', call.index, 1, gen_random_uuid(), 1,
       'gemini', 'key-1', 'gemini-3-pro-image', now(), call.state, call.accepted,
       call.ended - interval '9 seconds', call.ended, call.tokens, call.tokens * 129,
       CASE call.state WHEN 'stored' THEN 0.134 END
FROM (VALUES
    (108, 1, 'stored',    true,  noon(), 10),
    (108, 2, 'stored',    true,  noon() + interval '1 minute', 10),
    (108, 3, 'refused',   true,  noon() + interval '2 minutes', NULL),
    (109, 1, 'empty',     true,  noon(), NULL),
    (109, 2, 'limited',   false, noon(), NULL),
    (109, 3, 'error',     true,  noon(), NULL),
    (109, 4, 'error',     NULL,  noon(), NULL),
    (110, 1, 'ambiguous', NULL,  noon(), NULL),
    (111, 1, 'stored',    true,  now() - interval '20 days',    NULL),
    (999, 1, 'stored',    true,  now() - interval '20 days',    NULL)
) AS call (job, index, state, accepted, ended, tokens);
UPDATE photo_generation_calls SET worker = 'gone@vm' WHERE "jobId" = 999;
"#;

/// What apps were told, or not yet.
const WEBHOOKS: &str = r#"
INSERT INTO photo_generation_webhooks
    ("jobId", event, url, host, body, tries, "tryAt", status, error, "deliveredAt", "createdAt")
VALUES
    (108, 'job.completed', 'https://a.example/', 'a.example', '{}', 1, NULL, 200, NULL, now(), now()),
    (109, 'job.failed', 'https://a.example/', 'a.example', '{}', 0, '2999-01-01', NULL, NULL, NULL, now()),
    (110, 'job.failed', 'https://a.example/', 'a.example', '{}', 2, '2999-01-01', 500,
     'The receiver answered 500.', NULL, now() - interval '1 minute'),
    (111, 'job.failed', 'https://a.example/', 'a.example', '{}', 1, NULL, 410, 'Gone.', NULL, now() - interval '1 hour');
"#;

/// The account book of two customers, one of whom somebody has meddled with.
const CREDITS: &str = r#"
INSERT INTO photo_generation_credits (tenant, balance, "updatedAt")
VALUES ('user:7', 12, now()), ('team:7', 4, now() - interval '1 hour');
INSERT INTO photo_generation_credit_returns VALUES ('user:7', 1);
INSERT INTO photo_generation_credit_entries (tenant, kind, amount, "jobId", round, index) VALUES
    ('user:7', 'grant', 20, NULL, NULL, NULL), ('team:7', 'grant', 5, NULL, NULL, NULL),
    ('user:7', 'reserve', 6, 109, 1, NULL), ('user:7', 'capture', 4, 109, 1, 1),
    ('user:7', 'refund', 2, 109, 1, 2), ('user:7', 'reserve', 3, 108, 1, NULL);
INSERT INTO photo_generation_credit_reservations ("jobId", round, tenant, each, open)
VALUES (108, 1, 'user:7', 1, '{1,3}'), (101, 1, 'user:7', 1, '{1}');
INSERT INTO photo_generation_credit_entries (tenant, kind, amount, "jobId", round)
VALUES ('user:7', 'reserve', 1, 101, 1), ('user:7', 'grant', 1, NULL, NULL);
"#;

const LIMITS: &str = r#"
UPDATE photo_generation_limits SET paused = true WHERE model = 'gemini-3-pro-image';
UPDATE photo_generation_limits
SET "cooldownUntil" = now() + interval '10 minutes', reason = 'rate_limited'
WHERE model = 'gemini-3.1-flash-image';
UPDATE photo_generation_limits
SET "blockedUntil" = now() + interval '4 minutes', reason = 'bad_key: set a valid one'
WHERE model = 'gemini-3.1-flash-image-preview';
INSERT INTO photo_generation_pauses (what, name, reason, "pausedAt")
VALUES ('tenant', 'team:late', 'has not paid', '2026-01-02 03:04:05Z');
"#;

/// A stage with all of this, and the worker that holds job 1 with two calls in flight.
pub(super) async fn with_a_job_in_every_state() -> (Stage, InProcess) {
    let stage = Stage::new().await;
    let worker = stage
        .worker_with(|settings| {
            "alive".clone_into(&mut settings.label);
            settings.types = Some(vec!["photo_generation".to_owned()]);
            // It would take back the jobs of the dead; here they are to be seen.
            settings.rhythm.sweep_every = Duration::from_hours(1);
        })
        .await;
    stage.job("a lake [sim:hang]", 2).await;
    stage.until_called(|log| log.len() == 2).await;
    stage
        .until("SELECT count(*) = 2 FROM photo_generation_calls WHERE state = 'calling'")
        .await;
    for sql in [JOBS, LEDGER, WEBHOOKS, CREDITS, LIMITS] {
        stage.sql(sql).await;
    }
    // By the worker, though it takes none of them.
    let noted = "SELECT count(*) = 3 FROM photo_generation_shares WHERE type = 'image_edit'";
    stage.until(noted).await;
    (stage, worker)
}

/// The same rows as an adopted table may hold them, found instead of ours by whoever connects now.
pub(super) const AN_APPS_OWN_TABLE: &str = r#"
CREATE SCHEMA app;
CREATE TYPE app.job_status AS ENUM
    ('pending', 'processing', 'completed', 'failed', 'rate_limited', 'canceled');
SET TIME ZONE 'UTC';
CREATE TABLE app.photo_generation_queue AS SELECT * FROM public.photo_generation_queue;
ALTER TABLE app.photo_generation_queue
    ALTER status TYPE app.job_status USING status::app.job_status,
    ALTER id TYPE integer,
    ALTER "batchId" TYPE integer,
    ALTER "userId" TYPE integer USING "userId"::integer,
    ALTER "createdAt" TYPE timestamp,
    ALTER "retryAt" TYPE timestamp,
    ALTER "lockedAt" TYPE timestamp,
    ALTER "processedAt" TYPE timestamp,
    ALTER "completedAt" TYPE timestamp;
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database());
    EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Tokyo');
END $$;
"#;

/// Jobs that wait or run, with every moment at one end of time or the other, behind an account that
/// somebody stopped for ever: nothing can be subtracted from an infinity. Jobs 1 to 9 are pending.
pub(super) const MOMENTS_WITHOUT_END: &str = r#"
    UPDATE photo_generation_limits SET "cooldownUntil" = 'infinity';
    INSERT INTO photo_generation_batches ("createdAt") VALUES ('infinity'), ('-infinity');
    INSERT INTO photo_generation_queue
        ("basePrompt", status, "createdAt", "retryAt", "startedAt", "lockedAt", "updatedAt", "expiresAt", "batchId")
    SELECT 'a lake', status, created, retry, created, created, created, created, 1
    FROM unnest(ARRAY['pending', 'rate_limited', 'processing']) WITH ORDINALITY AS state (status, nth)
    CROSS JOIN (VALUES (timestamptz 'infinity'), ('-infinity'), (now())) AS moment (created)
    CROSS JOIN (VALUES (timestamptz 'infinity'), ('-infinity'), (NULL)) AS later (retry)
    ORDER BY nth"#;
