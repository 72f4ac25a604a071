-- Functions and triggers, made anew by every version of the schema.
--
-- Trigger functions are SECURITY DEFINER with an empty search_path: an app's role that may do nothing
-- but INSERT must not need rights on our tables, and must not be able to slip in tables of its own.
-- Where an app has `timestamp` columns they are read as UTC, whatever time zone its session has.

-- -------------------------------------------------------------------------------------- the queue

-- The text that a status column takes. An app's table may have an enum there: these return its type,
-- and every statement of ours is the same for both.
CREATE OR REPLACE FUNCTION public.photo_generation_status(word text)
    RETURNS public.photo_generation_queue.status%TYPE
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS 'BEGIN RETURN word; END';
CREATE OR REPLACE FUNCTION public.photo_generation_batch_status(word text)
    RETURNS public.photo_generation_batches.status%TYPE
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS 'BEGIN RETURN word; END';

-- Where a waiting job stands in the order of claims. It ages by itself: urgent is ten minutes ahead
-- of its time, batch half an hour behind; unknown words are normal. (In UTC without a zone, because an
-- index on timestamptz arithmetic is refused.) Two, because an app's column may have either type.
CREATE OR REPLACE FUNCTION public.photo_generation_place("createdAt" timestamptz, priority text)
    RETURNS timestamp LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT (coalesce("createdAt", '-infinity') AT TIME ZONE 'UTC')
       + CASE priority WHEN 'urgent' THEN interval '-10 minutes'
                       WHEN 'batch' THEN interval '30 minutes'
                       ELSE interval '0' END
$$;
CREATE OR REPLACE FUNCTION public.photo_generation_place("createdAt" timestamp, priority text)
    RETURNS timestamp LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT coalesce("createdAt", '-infinity')
       + CASE priority WHEN 'urgent' THEN interval '-10 minutes'
                       WHEN 'batch' THEN interval '30 minutes'
                       ELSE interval '0' END
$$;


-- The model that a job waits for, as the indexes have it; '' is the default. Cut, because an index
-- refuses a row whose text is long, and no app's insert is refused by us; no model's name is so long.
CREATE OR REPLACE FUNCTION public.photo_generation_model(model text)
    RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT left(coalesce(model, ''), 200)
$$;

-- The models that jobs wait for, and from when on one of a worker's accounts ('provider:account')
-- can serve each. Called by claim and next_due.
--   model     as in the rows; '' is the default
--   name      the model to call
--   usable    -infinity or past: now; infinity: not before somebody acts
--   probing   only a blocked account is left, and it is time to let one job through
-- Loose index scans: the cost grows with the models that wait, never with the backlog.
CREATE OR REPLACE FUNCTION public.photo_generation_waiting_models(accounts text[])
    RETURNS TABLE (model text, name text, usable timestamptz, probing boolean)
    LANGUAGE sql STABLE AS $$
WITH RECURSIVE
fresh AS (
    (SELECT public.photo_generation_model(model) AS model FROM public.photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
     ORDER BY public.photo_generation_model(model) LIMIT 1)
    UNION ALL
    SELECT (SELECT public.photo_generation_model(q.model) FROM public.photo_generation_queue q
            WHERE q.status IN ('pending', 'rate_limited') AND q."retryAt" IS NULL
              AND public.photo_generation_model(q.model) > fresh.model
            ORDER BY public.photo_generation_model(q.model) LIMIT 1)
    FROM fresh WHERE fresh.model IS NOT NULL
),
retrying AS (
    (SELECT public.photo_generation_model(model) AS model FROM public.photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NOT NULL
     ORDER BY public.photo_generation_model(model) LIMIT 1)
    UNION ALL
    SELECT (SELECT public.photo_generation_model(q.model) FROM public.photo_generation_queue q
            WHERE q.status IN ('pending', 'rate_limited') AND q."retryAt" IS NOT NULL
              AND public.photo_generation_model(q.model) > retrying.model
            ORDER BY public.photo_generation_model(q.model) LIMIT 1)
    FROM retrying WHERE retrying.model IS NOT NULL
),
waiting AS (
    SELECT w.model, CASE WHEN w.model <> '' THEN w.model ELSE (
        SELECT chosen.value FROM public.photo_generation_settings provider
        JOIN public.photo_generation_settings chosen ON chosen.key = 'defaultModel.' || provider.value
        WHERE provider.key = 'defaultProvider') END AS name
    FROM (SELECT fresh.model FROM fresh UNION SELECT retrying.model FROM retrying) AS w
    WHERE w.model IS NOT NULL
)
-- Without a default recorded, jobs that name no model wait: name is NULL, and usable never comes.
SELECT w.model, w.name, best.usable, coalesce(best.blocked, false)
FROM waiting w
CROSS JOIN LATERAL (
    -- An account without a row has met no limit yet.
    SELECT CASE WHEN l.paused OR w.name IS NULL THEN 'infinity'
                ELSE greatest(l."cooldownUntil", l."blockedUntil", '-infinity') END AS usable,
           l."blockedUntil" IS NOT NULL AS blocked
    FROM unnest(accounts) AS a (name)
    LEFT JOIN public.photo_generation_limits l
        ON l.provider || ':' || l.account = a.name AND l.model = w.name
    ORDER BY CASE WHEN l.paused THEN 'infinity'
                  ELSE greatest(l."cooldownUntil", l."blockedUntil", '-infinity') END, 2
    LIMIT 1
) AS best
$$;

-- Gemini's daily quota returns at midnight Pacific time, summer or winter.
CREATE OR REPLACE FUNCTION public.photo_generation_next_quota_day() RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
SELECT (date_trunc('day', now() AT TIME ZONE 'America/Los_Angeles') + interval '1 day')
       AT TIME ZONE 'America/Los_Angeles'
$$;
-- ---------------------------------------------------------------------------------- the app's hook

-- Each stored image calls this in the storing transaction. Replace it to feed a table of your own,
-- for instance: INSERT INTO photos ("userId", url) ... An error is recorded and retried; it never
-- loses the image.
DO $do$
BEGIN
    IF to_regprocedure('public.photo_generation_on_image(public.photo_generation_images)') IS NULL THEN
        CREATE FUNCTION public.photo_generation_on_image(image public.photo_generation_images)
            RETURNS void LANGUAGE sql AS '';
    END IF;
END $do$;

CREATE OR REPLACE FUNCTION public.photo_generation_call_hook(image public.photo_generation_images)
    RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.photo_generation_on_image(image);
    SET CONSTRAINTS ALL IMMEDIATE;       -- else a deferred foreign key would fail our commit
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $$;

CREATE OR REPLACE FUNCTION public.photo_generation_image_stored() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    problem text := public.photo_generation_call_hook(NEW);
BEGIN
    IF problem IS NOT NULL THEN
        UPDATE public.photo_generation_images
        SET "hookError" = problem, "hookTries" = 1, "hookTryAt" = now() + interval '5 seconds'
        WHERE "jobId" = NEW."jobId" AND index = NEW.index;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_image_stored
    AFTER UPDATE OF state ON public.photo_generation_images
    FOR EACH ROW WHEN (NEW.state = 'stored' AND OLD.state <> 'stored')
    EXECUTE FUNCTION public.photo_generation_image_stored();

-- ---------------------------------------------------------------------------------- the triggers

-- The only place that bumps lease. It need not tell us from an operator: whoever moves a job in
-- or out of processing, or hands it to somebody else, fences whoever held it before.
CREATE OR REPLACE FUNCTION public.photo_generation_fence() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET timezone = 'UTC' AS $$
DECLARE
    held  boolean := OLD.status = 'processing';
    holds boolean := NEW.status = 'processing';
    ended boolean := NEW.status IN ('completed', 'failed', 'canceled');
    bumps boolean := held <> holds
        OR (holds AND OLD."lockedBy" IS DISTINCT FROM NEW."lockedBy");
BEGIN
    -- Also when lease itself was written: a full-row save must not rewind it.
    NEW.lease := coalesce(OLD.lease, 0) + CASE WHEN bumps THEN 1 ELSE 0 END;
    IF bumps AND NEW.run IS NOT DISTINCT FROM OLD.run THEN
        NEW.run := NULL;                 -- unless this statement set it: that is our claim
    END IF;
    IF holds AND NEW."lockedAt" IS NULL THEN
        NEW."lockedAt" := now();
    END IF;
    IF held AND NOT holds AND OLD.run IS NOT NULL THEN
        NEW."lockedBy" := NULL;          -- rows of ours; the old worker's keep their locks
        NEW."lockedAt" := NULL;
    END IF;
    IF ended THEN
        NEW."completedAt" := coalesce(NEW."completedAt", now());
    END IF;
    IF OLD.status IN ('completed', 'failed', 'canceled') AND NOT ended THEN
        NEW.attempts := 0;               -- an operator wants it done again
        NEW."errorMessage" := NULL;
        NEW."errorCode" := NULL;
        NEW."retryAt" := NULL;
        NEW."completedAt" := NULL;
        IF NOT holds THEN
            NEW."lockedBy" := NULL;
            NEW."lockedAt" := NULL;
        END IF;
    END IF;
    IF OLD.status IS DISTINCT FROM NEW.status THEN
        NEW."updatedAt" := now();
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_fence
    BEFORE UPDATE ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status
          OR OLD."lockedBy" IS DISTINCT FROM NEW."lockedBy"
          OR OLD.lease IS DISTINCT FROM NEW.lease)
    EXECUTE FUNCTION public.photo_generation_fence();

-- A row may also be inserted in a final state (an app's import).
CREATE OR REPLACE FUNCTION public.photo_generation_born_final() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET timezone = 'UTC' AS $$
BEGIN
    NEW."completedAt" := now();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_born_final
    BEFORE INSERT ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (NEW.status IN ('completed', 'failed', 'canceled') AND NEW."completedAt" IS NULL)
    EXECUTE FUNCTION public.photo_generation_born_final();

-- A finished row set back to pending: what is stored stays, everything else is planned again, with
-- a fresh allowance for one ambiguous repeat. (A call still in flight is settled by the next claim.)
CREATE OR REPLACE FUNCTION public.photo_generation_again() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    UPDATE public.photo_generation_images
    SET state = CASE WHEN state = 'calling' THEN state ELSE 'planned' END,
        ambiguous = 0, error = NULL, "errorCode" = NULL, "updatedAt" = now()
    WHERE "jobId" = NEW.id AND state <> 'stored';
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_again
    AFTER UPDATE OF status ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'canceled') AND NEW.status = 'pending')
    EXECUTE FUNCTION public.photo_generation_again();

-- A job has ended: was it the batch's last? By a finish of ours too, for whoever ends the last two
-- jobs at once, or moves a job to another batch meanwhile.
CREATE OR REPLACE FUNCTION public.photo_generation_check_batch() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    INSERT INTO public.photo_generation_batch_checks VALUES (OLD."batchId");
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_check_batch_on_end
    AFTER UPDATE OF status ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (OLD."batchId" IS NOT NULL
          AND NEW.status IN ('completed', 'failed', 'canceled') AND OLD.status <> NEW.status)
    EXECUTE FUNCTION public.photo_generation_check_batch();
CREATE OR REPLACE TRIGGER photo_generation_check_batch_on_delete
    AFTER DELETE ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (OLD."batchId" IS NOT NULL AND OLD.status IN ('pending', 'processing', 'rate_limited'))
    EXECUTE FUNCTION public.photo_generation_check_batch();

-- Wakes an idle worker. A hint and nothing more: workers poll all the same.
-- NOTIFY takes a database-wide lock at commit, so it is sent only when a worker that lives says it
-- is idle. It only reads that flag. A transaction that is not READ COMMITTED may not see a flag
-- that is already committed, so it always notifies. A constant payload folds a thousand
-- notifications of one transaction into one.
CREATE OR REPLACE FUNCTION public.photo_generation_wake() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF (current_setting('transaction_isolation') <> 'read committed'
        OR EXISTS (SELECT FROM public.photo_generation_workers
                   WHERE idle AND "renewedAt" > now() - interval '30 seconds'))
       AND pg_notification_queue_usage() <= 0.5
       AND EXISTS (SELECT FROM public.photo_generation_settings
                   WHERE key = 'notifications' AND value = 'on')
    THEN
        NOTIFY photo_generation;
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;                         -- a wake-up that fails never fails the app's statement
END $$;
CREATE OR REPLACE TRIGGER photo_generation_wake_on_insert
    AFTER INSERT ON public.photo_generation_queue
    FOR EACH STATEMENT EXECUTE FUNCTION public.photo_generation_wake();
-- By row, so that WHEN spares our own claims and finishes.
CREATE OR REPLACE TRIGGER photo_generation_wake_on_pending
    AFTER UPDATE OF status ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (NEW.status = 'pending' AND OLD.status <> 'pending')
    EXECUTE FUNCTION public.photo_generation_wake();
-- ------------------------------------------------------------------------------------- who may

-- Functions are executable by everybody unless told otherwise, and Supabase serves executable
-- functions over HTTP. Triggers need no such right. Indexes do: they call theirs with the rights of
-- whoever inserts, in a database that may have taken that right from everybody. By name, since an app
-- has functions of its own that begin as ours do.
DO $$
DECLARE
    function_name text;
    role_name text;
BEGIN
    GRANT EXECUTE ON FUNCTION public.photo_generation_model(text),
        public.photo_generation_place(timestamptz, text),
        public.photo_generation_place(timestamp, text) TO PUBLIC;
    REVOKE ALL ON FUNCTION public.photo_generation_on_image(public.photo_generation_images) FROM PUBLIC;
    REVOKE ALL ON FUNCTION public.photo_generation_call_hook(public.photo_generation_images) FROM PUBLIC;
    FOR role_name IN SELECT rolname FROM pg_catalog.pg_roles
                     WHERE rolname IN ('anon', 'authenticated') LOOP
        FOREACH function_name IN ARRAY ARRAY[
            'status(text)', 'batch_status(text)', 'waiting_models(text[])', 'next_quota_day()',
            'on_image(public.photo_generation_images)', 'call_hook(public.photo_generation_images)',
            'image_stored()', 'fence()', 'born_final()', 'again()', 'check_batch()', 'wake()'
        ] LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION public.photo_generation_%s FROM PUBLIC, %I',
                           function_name, role_name);
        END LOOP;
    END LOOP;
END $$;
