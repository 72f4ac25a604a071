-- Whose turn it is: fair shares of a model's time among tenants, and the claim.
--
-- Each tenant has a virtual time for each model: the seconds that the provider worked for it, beginning
-- where the others were when it came. Who has the least is next (start-time fair queueing: Goyal, Vin,
-- Cheng, 1996). Seconds of calls that have ended are known; for jobs that run the rest is estimated, so
-- what a claim decides by is always as true as it can be, and nothing has to be corrected later.
--
-- Which tenants have jobs is kept in photo_generation_shares, so that a claim costs the same with ten
-- thousand tenants and a million rows as with one. It is never in the way of an insert: whoever inserts
-- only appends a line to photo_generation_arrivals, which has no key, so nobody waits; and the line can be
-- seen from the moment on when the job can, so no job is missed. All else is written under one lock,
-- photo_generation_lock_claims(), one claim after the other for the whole fleet, which makes the cap per
-- tenant exact. Whoever holds it waits a tenth of a second for what somebody else has locked, no longer.
--
-- (Functions in plpgsql keep the plans of their statements; in sql they are planned at each call, but
-- where they are merged into the statement that calls them.)

CREATE OR REPLACE FUNCTION public.photo_generation_lock_claims() RETURNS void
    LANGUAGE sql AS $$
SELECT pg_advisory_xact_lock(hashtextextended('safelight/claims', 0))
$$;

-- A setting that is a number. What else somebody may have written there counts as absent: a typing
-- error must not stop the fleet.
CREATE OR REPLACE FUNCTION public.photo_generation_number(setting text) RETURNS numeric
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT CASE WHEN value ~ '^\s*[0-9]{1,12}(\.[0-9]{1,9})?\s*$' THEN value::numeric END
            FROM public.photo_generation_settings WHERE key = setting);
END $$;

-- The model of rows that name none; NULL before the first worker has recorded it.
CREATE OR REPLACE FUNCTION public.photo_generation_default_model() RETURNS text
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT chosen.value FROM public.photo_generation_settings AS provider
            JOIN public.photo_generation_settings AS chosen
              ON chosen.key = 'defaultModel.' || provider.value
            WHERE provider.key = 'defaultProvider');
END $$;

-- How much a job weighs: the time of an urgent one is charged at half, of a batch one twice.
CREATE OR REPLACE FUNCTION public.photo_generation_weight(priority text) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE priority WHEN 'urgent' THEN 2.0 WHEN 'batch' THEN 0.5 ELSE 1.0 END::double precision
$$;

-- How many images a row asks for that are not made. Whatever an app or a hand wrote, 1 to 100.
CREATE OR REPLACE FUNCTION public.photo_generation_images_left(total numeric, made numeric)
    RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT greatest(least(coalesce(total, 4), 100) - least(greatest(coalesce(made, 0), 0), 100), 1)::double precision
$$;

-- ----------------------------------------------------------------------------------- what happens

-- Jobs that came. In words of UTC where an app's column has no zone.
CREATE OR REPLACE FUNCTION public.photo_generation_inserted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    INSERT INTO public.photo_generation_arrivals (model, type, tenant, "dueAt")
    SELECT public.photo_generation_model(job.model::text), public.photo_generation_type(job.type::text),
           public.photo_generation_tenant(job."teamId"::text, job."userId"::text),
           min(coalesce(job."retryAt", '-infinity'))
    FROM inserted AS job
    WHERE job.status::text IN ('pending', 'rate_limited')
    GROUP BY 1, 2, 3;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_inserted
    AFTER INSERT ON public.photo_generation_queue
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION public.photo_generation_inserted();

-- Jobs that wait again; or still, but may be due sooner than they were, or for somebody else.
CREATE OR REPLACE FUNCTION public.photo_generation_waits_again() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    INSERT INTO public.photo_generation_arrivals (model, type, tenant, "dueAt")
    VALUES (public.photo_generation_model(NEW.model::text), public.photo_generation_type(NEW.type::text),
            public.photo_generation_tenant(NEW."teamId"::text, NEW."userId"::text),
            coalesce(NEW."retryAt", '-infinity'));
    RETURN NULL;
END $$;
-- By row, so that WHEN spares our own claims and finishes. It names no column but status: one that it named
-- could not be given another type by the app.
CREATE OR REPLACE TRIGGER photo_generation_waits_again
    AFTER UPDATE ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (NEW.status IN ('pending', 'rate_limited'))
    EXECUTE FUNCTION public.photo_generation_waits_again();

-- A call has ended: its time is the tenant's. One that a dead worker left open is settled late, and
-- counts until its deadline at most.
CREATE OR REPLACE FUNCTION public.photo_generation_charge() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.photo_generation_charges (model, tenant, seconds, weight)
    VALUES (NEW.model, left(NEW.tenant, 200),
            greatest(0, extract(epoch FROM least(NEW."endedAt", NEW."deadlineAt") - NEW."startedAt")),
            public.photo_generation_weight((
                SELECT job.priority::text FROM public.photo_generation_queue AS job
                WHERE job.id = NEW."jobId")));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_charge
    AFTER UPDATE OF state ON public.photo_generation_calls
    FOR EACH ROW
    WHEN (OLD.state = 'calling' AND NEW.state NOT IN ('calling', 'limited'))
    EXECUTE FUNCTION public.photo_generation_charge();

-- ---------------------------------------------------------------------------------- who may run

-- How many jobs of a tenant may run at a time, NULL: any number. "own" is its row in
-- photo_generation_tenants, "usual" the setting tenantMaxRunning; 0 is no cap. Rows that name nobody are
-- the app's own: there is nobody to be protected from.
CREATE OR REPLACE FUNCTION public.photo_generation_cap(of_tenant text, own integer, usual numeric)
    RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT nullif(coalesce(own, CASE WHEN of_tenant <> 'none' THEN coalesce(usual, 3) END), 0)::bigint
$$;

-- Tenants that run jobs or are paused, and how many more each may run (NULL: any number; none if below 1).
CREATE OR REPLACE FUNCTION public.photo_generation_busy()
    RETURNS TABLE (tenant text, running bigint, places bigint)
    LANGUAGE sql STABLE AS $$
SELECT busy.tenant, max(busy.running),
       CASE WHEN bool_or(busy.paused) THEN 0
            -- A cap that was lowered may be passed already. NULL stays NULL, which greatest would skip.
            ELSE public.photo_generation_cap(
                     busy.tenant, max(own."maxRunning"),
                     (SELECT public.photo_generation_number('tenantMaxRunning'))) - max(busy.running) END
FROM (
    SELECT public.photo_generation_tenant("teamId"::text, "userId"::text) AS tenant,
           count(*) AS running, false AS paused
    FROM public.photo_generation_queue WHERE status = 'processing' GROUP BY 1
    UNION ALL
    SELECT name, 0, true FROM public.photo_generation_pauses WHERE what = 'tenant'
) AS busy
LEFT JOIN public.photo_generation_tenants AS own ON own.tenant = busy.tenant
GROUP BY busy.tenant
$$;

-- Of each model the seconds of provider time that a tenant's running jobs have yet to take.
CREATE OR REPLACE FUNCTION public.photo_generation_expected()
    RETURNS TABLE (name text, tenant text, seconds double precision)
    LANGUAGE sql STABLE AS $$
SELECT job.name, job.tenant, sum(job.images / job.weight) * coalesce(min(known."secondsPerCall"), 10)
FROM (
    SELECT coalesce(nullif(public.photo_generation_model(model::text), ''),
                    (SELECT public.photo_generation_default_model())) AS name,
           public.photo_generation_tenant("teamId"::text, "userId"::text) AS tenant,
           public.photo_generation_images_left(
               coalesce("imagesTotal", "numImagesPerExample")::numeric, "imagesCompleted") AS images,
           public.photo_generation_weight(priority::text) AS weight
    FROM public.photo_generation_queue WHERE status = 'processing'
) AS job
LEFT JOIN public.photo_generation_models AS known ON known.model = job.name
GROUP BY job.name, job.tenant
$$;

-- How many more jobs the fleet may begin now, by MAX_JOBS_PER_SECOND and MAX_JOBS_PER_MINUTE (NULL: any
-- number), and else from when on.
CREATE OR REPLACE FUNCTION public.photo_generation_pace()
    RETURNS TABLE (room bigint, usable timestamptz)
    LANGUAGE sql STABLE AS $$
SELECT min(pace.most - used.jobs), max(used.again)
FROM (VALUES ('maxJobsPerSecond', interval '1 second'), ('maxJobsPerMinute', interval '1 minute'))
     AS setting (key, length)
CROSS JOIN LATERAL (
    SELECT greatest(floor(public.photo_generation_number(setting.key)), 1)::bigint AS most
    WHERE public.photo_generation_number(setting.key) > 0
) AS pace
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs,
           CASE WHEN count(*) >= pace.most THEN min(recent.at) + setting.length END AS again
    FROM (SELECT at FROM public.photo_generation_claims
          WHERE at > clock_timestamp() - setting.length AND at <= clock_timestamp()
          ORDER BY at DESC LIMIT pace.most) AS recent
) AS used
$$;

-- The models and types of which jobs wait. A loose index scan: what it costs grows with these, never
-- with the tenants or the backlog.
CREATE OR REPLACE FUNCTION public.photo_generation_kinds()
    RETURNS TABLE (model text, type text) LANGUAGE sql STABLE AS $$
WITH RECURSIVE kind AS (
    (SELECT share.model, share.type FROM public.photo_generation_shares AS share
     ORDER BY share.model, share.type LIMIT 1)
    UNION ALL
    SELECT following.model, following.type FROM kind CROSS JOIN LATERAL (
        SELECT share.model, share.type FROM public.photo_generation_shares AS share
        WHERE (share.model, share.type) > (kind.model, kind.type)
        ORDER BY share.model, share.type LIMIT 1) AS following
)
SELECT kind.model, kind.type FROM kind
$$;

-- What jobs wait for, and from when on one of a worker's accounts ('provider:account') can serve it.
--   types         of jobs that are asked about; NULL: all
--   crowded       models that are not
--   model, type   as in the rows; model '' is the default
--   name          the model to call
--   usable        -infinity or past: now; infinity: not before somebody acts
--   probing       only a blocked account is left, and it is time to let one job through
--   room          how many calls could begin within a second; NULL: no limit
--   "turn"        the virtual time of the model
DROP FUNCTION IF EXISTS public.photo_generation_waiting_models(text[]);
DROP FUNCTION IF EXISTS public.photo_generation_waiting(text[], text[], text[]);
CREATE FUNCTION public.photo_generation_waiting(
        accounts text[], types text[] DEFAULT NULL, crowded text[] DEFAULT '{}')
    RETURNS TABLE (model text, type text, name text, usable timestamptz, probing boolean, room bigint,
                   turn double precision)
    LANGUAGE sql STABLE AS $$
WITH
-- Without a default recorded, jobs that name no model wait: name is NULL, and usable never comes.
named AS (
    SELECT kind.model, kind.type,
           coalesce(nullif(kind.model, ''), (SELECT public.photo_generation_default_model())) AS name
    FROM public.photo_generation_kinds() AS kind
    WHERE types IS NULL OR kind.type = ANY (types)
),
able AS MATERIALIZED (
    SELECT called.name,
           CASE WHEN called.name IS NULL THEN 'infinity' ELSE min(budget.usable) END AS usable,
           bool_and(budget.probing) FILTER (WHERE budget.usable <= now()) AS probing,
           CASE WHEN NOT coalesce(bool_or(budget.room IS NULL AND budget.usable <= now()), false)
                THEN coalesce(sum(budget.room), 0) END AS room
    FROM (SELECT DISTINCT named.name FROM named
          WHERE named.name IS NULL OR named.name <> ALL (crowded)) AS called
    CROSS JOIN unnest(accounts) AS account (name)
    CROSS JOIN LATERAL public.photo_generation_budget(
        split_part(account.name, ':', 1), substr(account.name, strpos(account.name, ':') + 1),
        called.name, interval '1 second', NULL, NULL, NULL) AS budget
    GROUP BY called.name
)
SELECT named.model, named.type, named.name,
       CASE WHEN EXISTS (SELECT FROM public.photo_generation_pauses AS pause
                         WHERE (pause.what = 'all')
                            OR (pause.what = 'type' AND pause.name = named.type)
                            OR (pause.what = 'model' AND pause.name = named.name))
            THEN 'infinity' ELSE able.usable END,
       coalesce(able.probing, false), able.room, coalesce(known."virtualTime", 0)
FROM named
JOIN able ON able.name IS NOT DISTINCT FROM named.name
LEFT JOIN public.photo_generation_models AS known ON known.model = named.name
$$;

-- ------------------------------------------------------------------------------------- the shares

-- Takes in what was noted since: jobs that came and calls that ended. Under the lock.
CREATE OR REPLACE FUNCTION public.photo_generation_take_notes() RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    -- After an hour without a claim there are many: some at a time, and not too long at once.
    at_once CONSTANT integer := 5000;
    at_most CONSTANT timestamptz := clock_timestamp() + interval '250 milliseconds';
    -- Of the calls that ended, by model and tenant.
    models  text[];
    tenants text[];
    calls   bigint[];
    lengths double precision[];
    charges double precision[];
BEGIN
    IF EXISTS (SELECT FROM public.photo_generation_charges) THEN
        WITH ended AS (
            DELETE FROM public.photo_generation_charges
            WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.photo_generation_charges LIMIT at_once))
            RETURNING model, tenant, seconds, weight
        )
        SELECT array_agg(total.model), array_agg(total.tenant), array_agg(total.calls),
               array_agg(total.seconds), array_agg(total.charge)
        INTO models, tenants, calls, lengths, charges
        FROM (SELECT ended.model, ended.tenant, count(*) AS calls, sum(ended.seconds) AS seconds,
                     sum(ended.seconds / ended.weight) AS charge
              FROM ended GROUP BY 1, 2) AS total;

        UPDATE public.photo_generation_shares AS share
        SET "virtualTime" = share."virtualTime" + ended.charge
        FROM unnest(models, tenants, charges) AS ended (model, tenant, charge)
        WHERE share.tenant = ended.tenant
          AND (share.model = ended.model
               OR (share.model = '' AND ended.model = (SELECT public.photo_generation_default_model())));

        -- A running mean, in which the last hundred calls or so count. And where newcomers begin moves
        -- on as if all that wait had been served alike, up to whoever is furthest: else those who
        -- come one by one, each with a single job, would always be before whoever had something.
        INSERT INTO public.photo_generation_models AS known (model, "secondsPerCall")
        SELECT ended.model, sum(ended.seconds) / sum(ended.calls)
        FROM unnest(models, calls, lengths) AS ended (model, calls, seconds)
        GROUP BY ended.model
        ON CONFLICT (model) DO UPDATE
        SET "secondsPerCall" = CASE WHEN known."secondsPerCall" IS NULL THEN excluded."secondsPerCall"
                ELSE excluded."secondsPerCall"
                     + (known."secondsPerCall" - excluded."secondsPerCall") * power(0.99, (
                           SELECT sum(ended.calls) FROM unnest(models, calls) AS ended (model, calls)
                           WHERE ended.model = known.model))
                END;
        UPDATE public.photo_generation_models AS known
        SET "virtualTime" = greatest(known."virtualTime",
                least(known."virtualTime" + ended.charge / waiting.tenants, waiting.furthest))
        FROM (SELECT each.model, sum(each.charge) AS charge
              FROM unnest(models, charges) AS each (model, charge) GROUP BY each.model) AS ended
        CROSS JOIN LATERAL (
            SELECT sum(line.tenants) AS tenants, max(line.furthest) AS furthest
            FROM public.photo_generation_kinds() AS kind
            CROSS JOIN LATERAL (
                SELECT count(*) AS tenants, max(last."virtualTime") AS furthest
                -- So many are as good as all of them.
                FROM (SELECT share."virtualTime" FROM public.photo_generation_shares AS share
                      WHERE share.model = kind.model AND share.type = kind.type
                        AND share."lookAt" IS NULL
                      ORDER BY share."virtualTime" DESC LIMIT 1000) AS last
            ) AS line
            WHERE kind.model = ended.model
               OR (kind.model = '' AND ended.model = public.photo_generation_default_model())
        ) AS waiting
        WHERE known.model = ended.model AND waiting.tenants > 0;
    END IF;

    -- Who comes begins where the others are; who only rested goes on where it was. Where the others are
    -- the model says, if it was ever called, and else those that wait for it.
    LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM public.photo_generation_arrivals);
        WITH came AS (
            DELETE FROM public.photo_generation_arrivals
            WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.photo_generation_arrivals LIMIT at_once))
            RETURNING model, type, tenant, "dueAt"
        )
        INSERT INTO public.photo_generation_shares AS share (model, type, tenant, "virtualTime", "lookAt")
        SELECT one.model, one.type, one.tenant,
               greatest(kind."virtualTime", 0), CASE WHEN one."dueAt" > now() THEN one."dueAt" END
        FROM (SELECT came.model, came.type, came.tenant, min(came."dueAt") AS "dueAt"
              FROM came GROUP BY 1, 2, 3) AS one
        JOIN (
            SELECT of.model, of.type, greatest(
                (SELECT known."virtualTime" FROM public.photo_generation_models AS known
                 WHERE known.model = coalesce(nullif(of.model, ''),
                                              public.photo_generation_default_model())),
                (SELECT other."virtualTime" FROM public.photo_generation_shares AS other
                 WHERE other.model = of.model AND other.type = of.type AND other."lookAt" IS NULL
                 ORDER BY other."virtualTime" LIMIT 1)) AS "virtualTime"
            FROM (SELECT DISTINCT came.model, came.type FROM came) AS of
        ) AS kind ON kind.model = one.model AND kind.type = one.type
        -- Most of those who come are there, and nothing is to be written.
        WHERE NOT EXISTS (SELECT FROM public.photo_generation_shares AS there
                          WHERE there.model = one.model AND there.type = one.type
                            AND there.tenant = one.tenant AND there."lookAt" IS NULL)
        ON CONFLICT (model, type, tenant) DO UPDATE
        SET "lookAt" = CASE WHEN excluded."lookAt" IS NOT NULL
                            THEN least(share."lookAt", excluded."lookAt") END,
            "emptySince" = NULL,
            "virtualTime" = CASE WHEN share."emptySince" IS NULL THEN share."virtualTime"
                                 ELSE greatest(share."virtualTime", excluded."virtualTime") END;
        EXIT WHEN clock_timestamp() > at_most;
    END LOOP;

    -- Who rested until now. A hundred thousand at midnight: some by each claim.
    UPDATE public.photo_generation_shares SET "lookAt" = NULL
    WHERE ctid = ANY (ARRAY(
        SELECT one.ctid
        FROM public.photo_generation_kinds() AS kind
        CROSS JOIN LATERAL (
            SELECT due.ctid FROM public.photo_generation_shares AS due
            WHERE due.model = kind.model AND due.type = kind.type
              AND due."lookAt" <= now() AND due."emptySince" IS NULL
            ORDER BY due."lookAt" LIMIT 500) AS one));
END $$;

-- Of these shares, those that have no due job rest: until the first one is due, or, where none waits at
-- all, until one comes. Under the lock: a job that comes meanwhile is noted, and wakes its share.
CREATE OR REPLACE FUNCTION public.photo_generation_rest_shares(
        models text[], types text[], tenants text[])
    RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.photo_generation_shares AS share
    SET "lookAt" = coalesce(found.due, 'infinity'),
        "emptySince" = CASE WHEN found.due IS NULL THEN now() END
    FROM (
        SELECT asked.*,
               EXISTS (SELECT FROM public.photo_generation_queue AS job
                       WHERE job.status IN ('pending', 'rate_limited') AND job."retryAt" IS NULL
                         AND public.photo_generation_model(job.model) = asked.model
                         AND public.photo_generation_type(job.type) = asked.type
                         AND public.photo_generation_tenant(job."teamId"::text, job."userId"::text)
                             = asked.tenant) AS fresh,
               (SELECT job."retryAt" FROM public.photo_generation_queue AS job
                WHERE job.status IN ('pending', 'rate_limited') AND job."retryAt" IS NOT NULL
                  AND public.photo_generation_model(job.model) = asked.model
                  AND public.photo_generation_type(job.type) = asked.type
                  AND public.photo_generation_tenant(job."teamId"::text, job."userId"::text)
                      = asked.tenant
                ORDER BY job."retryAt" LIMIT 1) AS due
        FROM unnest(models, types, tenants) AS asked (model, type, tenant)
    ) AS found
    WHERE share.model = found.model AND share.type = found.type AND share.tenant = found.tenant
      AND NOT found.fresh AND (found.due IS NULL OR found.due > now());
END $$;

-- For the sweep: forgets tenants that have had no job for a while. Not while one runs: what that takes is
-- still to be counted. Some at a time; returns how many.
CREATE OR REPLACE FUNCTION public.photo_generation_forget_shares(most bigint) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    forgotten bigint;
BEGIN
    PERFORM public.photo_generation_lock_claims();
    DELETE FROM public.photo_generation_shares AS share
    USING (SELECT model, type, tenant FROM public.photo_generation_shares
           WHERE "emptySince" < now() - interval '2 minutes'
             AND tenant NOT IN (SELECT busy.tenant FROM public.photo_generation_busy() AS busy
                                WHERE busy.running > 0)
           ORDER BY "emptySince" LIMIT most) AS old
    WHERE share.model = old.model AND share.type = old.type AND share.tenant = old.tenant;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;

-- For the sweep, now and then: notes tenants with waiting jobs whose share does not say so: a table that
-- was adopted, a trigger that was disabled. A loose index scan of both indexes, some 40 us for each
-- tenant that waits; each is looked up by its key (OFFSET 0), whatever the statistics say.
CREATE OR REPLACE FUNCTION public.photo_generation_find_arrivals() RETURNS bigint
    LANGUAGE sql SET enable_seqscan = off AS $$
WITH RECURSIVE fresh AS (
    (SELECT public.photo_generation_model(model) AS model, public.photo_generation_type(type) AS type,
            public.photo_generation_tenant("teamId"::text, "userId"::text) AS tenant
     FROM public.photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
     ORDER BY 1, 2, 3 LIMIT 1)
    UNION ALL
    SELECT following.* FROM fresh CROSS JOIN LATERAL (
        SELECT public.photo_generation_model(job.model), public.photo_generation_type(job.type),
               public.photo_generation_tenant(job."teamId"::text, job."userId"::text)
        FROM public.photo_generation_queue AS job
        WHERE job.status IN ('pending', 'rate_limited') AND job."retryAt" IS NULL
          AND (public.photo_generation_model(job.model), public.photo_generation_type(job.type),
               public.photo_generation_tenant(job."teamId"::text, job."userId"::text))
              > (fresh.model, fresh.type, fresh.tenant)
        ORDER BY 1, 2, 3 LIMIT 1) AS following
),
retrying AS (
    (SELECT public.photo_generation_model(model) AS model, public.photo_generation_type(type) AS type,
            public.photo_generation_tenant("teamId"::text, "userId"::text) AS tenant,
            "retryAt"::timestamptz AS due
     FROM public.photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NOT NULL
     ORDER BY 1, 2, 3, "retryAt" LIMIT 1)
    UNION ALL
    SELECT following.* FROM retrying CROSS JOIN LATERAL (
        SELECT public.photo_generation_model(job.model), public.photo_generation_type(job.type),
               public.photo_generation_tenant(job."teamId"::text, job."userId"::text),
               job."retryAt"::timestamptz
        FROM public.photo_generation_queue AS job
        WHERE job.status IN ('pending', 'rate_limited') AND job."retryAt" IS NOT NULL
          AND (public.photo_generation_model(job.model), public.photo_generation_type(job.type),
               public.photo_generation_tenant(job."teamId"::text, job."userId"::text))
              > (retrying.model, retrying.type, retrying.tenant)
        ORDER BY 1, 2, 3, job."retryAt" LIMIT 1) AS following
),
noted AS (
    INSERT INTO public.photo_generation_arrivals (model, type, tenant, "dueAt")
    SELECT waiting.model, waiting.type, waiting.tenant, waiting.due
    FROM (SELECT fresh.*, '-infinity'::timestamptz AS due FROM fresh
          UNION ALL SELECT retrying.* FROM retrying) AS waiting
    LEFT JOIN LATERAL (
        SELECT coalesce(share."lookAt", '-infinity') AS looks FROM public.photo_generation_shares AS share
        WHERE share.model = waiting.model AND share.type = waiting.type
          AND share.tenant = waiting.tenant
        OFFSET 0) AS share ON true
    WHERE share.looks IS NULL OR share.looks > greatest(waiting.due, now())
    RETURNING 1
)
SELECT count(*) FROM noted
$$;

-- -------------------------------------------------------------------------------------- the claim

-- The due jobs of one share, in the order in which they are worked, the first "most" of them.
--   images   that are not made yet, by weight: what of the provider's time the job is charged
-- By safelight_fresh_idx and safelight_retrying_idx, so many rows of each.
CREATE OR REPLACE FUNCTION public.photo_generation_due(
        of_model text, of_type text, of_tenant text, most bigint)
    RETURNS TABLE (id bigint, place timestamp, images double precision)
    LANGUAGE sql STABLE AS $$
SELECT job.id, job.place,
       public.photo_generation_images_left(job.total, job.made) / public.photo_generation_weight(job.priority)
FROM (
    (SELECT id::bigint AS id, public.photo_generation_place("createdAt", priority) AS place,
            coalesce("imagesTotal", "numImagesPerExample")::numeric AS total,
            "imagesCompleted"::numeric AS made, priority::text AS priority
     FROM public.photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" IS NULL
       AND public.photo_generation_model(model) = of_model
       AND public.photo_generation_type(type) = of_type
       AND public.photo_generation_tenant("teamId"::text, "userId"::text) = of_tenant
     ORDER BY public.photo_generation_place("createdAt", priority), photo_generation_queue.id
     LIMIT most)
    UNION ALL
    (SELECT id::bigint, public.photo_generation_place("createdAt", priority),
            coalesce("imagesTotal", "numImagesPerExample")::numeric, "imagesCompleted"::numeric,
            priority::text
     FROM public.photo_generation_queue
     WHERE status IN ('pending', 'rate_limited') AND "retryAt" <= now()
       AND public.photo_generation_model(model) = of_model
       AND public.photo_generation_type(type) = of_type
       AND public.photo_generation_tenant("teamId"::text, "userId"::text) = of_tenant
     ORDER BY "retryAt"
     LIMIT most)
) AS job
ORDER BY job.place, job.id
LIMIT most
$$;

-- What may be claimed next, in order, more than is asked for: who reads it stops. Of a share without a
-- due job one row without an id.
--   accounts, types, crowded, past   as of the claim
--   breadth  how many shares of each kind are looked at
--   room     how many calls of the model could begin (NULL: no limit)
--   places   how many jobs of the tenant may begin (NULL: no cap)
--   begins   the virtual time at which the job would begin
--   lag      how much of it is forgiven, see below
--   "last"   the share has no more due jobs
--   more     there are more shares than were looked at
CREATE OR REPLACE FUNCTION public.photo_generation_next(
        most bigint, accounts text[], types text[], past bigint, crowded text[], breadth bigint)
    RETURNS TABLE (model text, type text, tenant text, name text, room bigint, places bigint,
                   id bigint, begins double precision, lag double precision, "last" boolean,
                   more boolean)
    LANGUAGE sql STABLE AS $$
WITH kind AS MATERIALIZED (
    SELECT waiting.*, coalesce(known."secondsPerCall", 10) AS "secondsPerCall"
    FROM public.photo_generation_waiting(accounts, types, crowded) AS waiting
    LEFT JOIN public.photo_generation_models AS known ON known.model = waiting.name
    WHERE waiting.usable <= now()
),
busy AS MATERIALIZED (SELECT * FROM public.photo_generation_busy()),
expected AS MATERIALIZED (SELECT * FROM public.photo_generation_expected()),
-- Tenants that run nothing come in the order of the index. Those that do are few, and each is looked up
-- by its key (OFFSET 0), whatever the statistics say.
share AS MATERIALIZED (
    SELECT kind.*, one.tenant, one.places, one.begins, one.lag, least(most, one.places) + past AS looks
    FROM kind
    CROSS JOIN LATERAL (
        SELECT line.tenant, line.places,
               -- Who could not use its share, for its cap, its retries or a pause, is not given hours at
               -- once later: no more than two minutes of provider time.
               greatest(line.tag, kind.turn - 120) AS begins, greatest(kind.turn - 120 - line.tag, 0) AS lag
        FROM (
            (SELECT free.tenant, free."virtualTime" AS tag,
                    public.photo_generation_cap(
                        free.tenant, own."maxRunning",
                        (SELECT public.photo_generation_number('tenantMaxRunning'))) AS places
             FROM public.photo_generation_shares AS free
             LEFT JOIN public.photo_generation_tenants AS own ON own.tenant = free.tenant
             WHERE free.model = kind.model AND free.type = kind.type AND free."lookAt" IS NULL
               AND free.tenant NOT IN (SELECT busy.tenant FROM busy)
             ORDER BY free."virtualTime"
             LIMIT breadth)
            UNION ALL
            (SELECT busy.tenant, working."virtualTime" + coalesce(expected.seconds, 0), busy.places
             FROM busy
             CROSS JOIN LATERAL (
                 SELECT mine."virtualTime", mine."lookAt" FROM public.photo_generation_shares AS mine
                 WHERE mine.model = kind.model AND mine.type = kind.type AND mine.tenant = busy.tenant
                 OFFSET 0) AS working
             LEFT JOIN expected ON expected.tenant = busy.tenant AND expected.name = kind.name
             WHERE working."lookAt" IS NULL AND (busy.places IS NULL OR busy.places > 0))
        ) AS line
        ORDER BY begins, line.tenant
        LIMIT breadth
    ) AS one
),
-- Across models: a model comes first whose running jobs have less to take for each tenant that waits.
model AS MATERIALIZED (
    SELECT share.name, min(share.begins) AS first,
           coalesce((SELECT sum(expected.seconds) FROM expected WHERE expected.name = share.name), 0)
               / count(*) AS load
    FROM share GROUP BY share.name
),
-- Each job of a tenant begins after those before it.
job AS (
    SELECT share.model, share.type, share.tenant, share.name, share.room, share.places, share.lag,
           due.id, due.place,
           share.begins + share."secondsPerCall" * coalesce(sum(due.images) OVER earlier, 0) AS begins,
           count(due.id) OVER one < share.looks
               AND row_number() OVER (one ORDER BY due.place DESC, due.id DESC) = 1 AS "last"
    FROM share
    LEFT JOIN LATERAL public.photo_generation_due(share.model, share.type, share.tenant, share.looks)
         AS due ON true
    WINDOW one AS (PARTITION BY share.model, share.type, share.tenant),
           earlier AS (PARTITION BY share.name, share.tenant ORDER BY due.place, due.id
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT job.model, job.type, job.tenant, job.name, job.room, job.places, job.id, job.begins, job.lag,
       job."last",
       EXISTS (SELECT FROM share GROUP BY share.model, share.type HAVING count(*) >= breadth)
FROM job JOIN model ON model.name = job.name
ORDER BY job.begins - model.first + model.load, job.place, job.id
$$;

-- Leases up to "most" due jobs to a run, in order of their tenants' virtual time. Called by queue/claim.
--   types     of job; NULL: all
--   past      how many rows of a tenant to look past that others hold locked; at least 1
--   crowded   models for whose calls enough wait in that process
-- A function, because what is counted must be younger than the lock (see photo_generation_call). It
-- locks only the rows it takes, and skips those that others hold. The bump of lease is the trigger's.
DROP FUNCTION IF EXISTS public.photo_generation_claim(uuid, text, bigint, text[], text[], bigint, text[]);
CREATE FUNCTION public.photo_generation_claim(
        claim_run uuid, claim_label text, most bigint, accounts text[], types text[], past bigint,
        crowded text[])
    RETURNS TABLE (job public.photo_generation_queue, "calledModel" text)
    LANGUAGE plpgsql
    -- Planning photo_generation_next takes several times as long as running it, and no plan of another
    -- session's arguments is better than this one's.
    SET plan_cache_mode = force_generic_plan
    -- Each look here is by an index. That it is worth it, the statistics of a table that was empty a
    -- minute ago do not know.
    SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
    -- Shares that turn out to have nothing due, or nothing that is free, make room for the next ones,
    -- each time twice as many.
    rounds      CONSTANT integer := 8;
    breadth     bigint;
    -- Tenants of whom the app's own trigger refuses a row, or makes it wait: they are left for a while.
    -- Not many at once, since others wait meanwhile.
    refused     text[] := '{}';
    patience    CONSTANT integer := 3;
    pace        bigint;
    next        record;
    more        boolean;
    names       text[] := '{}';
    tenants     text[];
    end_models  text[];
    end_types   text[];
    end_tenants text[];
BEGIN
    PERFORM public.photo_generation_lock_claims();
    -- From here on others wait for us.
    PERFORM set_config('lock_timeout', '100ms', true);
    -- Nothing for a run that failed to renew for half the lease.
    IF NOT EXISTS (SELECT FROM public.photo_generation_workers AS worker
                   WHERE worker.run = claim_run
                     AND worker."renewedAt" > clock_timestamp() - interval '15 seconds') THEN
        RETURN;
    END IF;
    PERFORM public.photo_generation_take_notes();
    pace := (SELECT allowed.room FROM public.photo_generation_pace() AS allowed);
    most := least(most, pace);
    breadth := most + 10;

    FOR round IN 1 .. rounds LOOP
        EXIT WHEN most <= 0 OR cardinality(refused) >= patience;
        more := false;
        tenants := '{}';
        end_models := '{}'; end_types := '{}'; end_tenants := '{}';
        FOR next IN
            SELECT * FROM public.photo_generation_next(most, accounts, types, past, crowded, breadth)
        LOOP
            EXIT WHEN cardinality(tenants) = most OR cardinality(refused) >= patience;
            more := next.more;
            IF next."last" THEN
                end_models := end_models || next.model;
                end_types := end_types || next.type;
                end_tenants := end_tenants || next.tenant;
            END IF;
            -- Room is what calls leave, and these have not called; places are counted anew each round.
            CONTINUE WHEN next.id IS NULL
                OR next.tenant = ANY (refused)
                OR cardinality(array_positions(names, next.name)) >= next.room
                OR cardinality(array_positions(tenants, next.tenant)) >= next.places;
            PERFORM FROM public.photo_generation_queue AS row
            WHERE row.id = next.id AND row.status IN ('pending', 'rate_limited')
              AND (row."retryAt" IS NULL OR row."retryAt" <= now())
            FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
            BEGIN
                UPDATE public.photo_generation_queue AS row
                SET status = 'processing',
                    run = claim_run,
                    "lockedBy" = claim_label,
                    "lockedAt" = now(),
                    "retryAt" = NULL,
                    "startedAt" = coalesce(row."startedAt", now()),
                    "jobId" = coalesce(row."jobId", gen_random_uuid()),
                    "requestId" = coalesce(row."requestId", gen_random_uuid()::text)
                WHERE row.id = next.id
                RETURNING row.* INTO job;
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING 'job % cannot be claimed: %', next.id, SQLERRM;
                refused := refused || next.tenant;
                UPDATE public.photo_generation_shares AS share
                SET "lookAt" = now() + interval '5 seconds'
                WHERE share.model = next.model AND share.type = next.type AND share.tenant = next.tenant;
                CONTINUE;
            END;
            -- Nor if a trigger of the app's has swallowed the change.
            CONTINUE WHEN NOT FOUND;
            "calledModel" := next.name;
            RETURN NEXT;
            names := names || next.name;
            tenants := tenants || next.tenant;
            -- The model's virtual time is where the last job began: there the next newcomer begins.
            INSERT INTO public.photo_generation_models AS known (model, "virtualTime")
            VALUES (next.name, next.begins)
            ON CONFLICT (model) DO UPDATE
            SET "virtualTime" = greatest(known."virtualTime", excluded."virtualTime")
            WHERE known."virtualTime" < excluded."virtualTime";
            IF next.lag > 0 AND cardinality(array_positions(tenants, next.tenant)) = 1 THEN
                UPDATE public.photo_generation_shares AS share
                SET "virtualTime" = share."virtualTime" + next.lag
                WHERE share.model = next.model AND share.type = next.type AND share.tenant = next.tenant;
            END IF;
        END LOOP;

        IF pace IS NOT NULL THEN
            DELETE FROM public.photo_generation_claims AS old WHERE old.at < now() - interval '1 minute';
            INSERT INTO public.photo_generation_claims (at) SELECT clock_timestamp() FROM unnest(tenants);
        END IF;
        IF cardinality(end_models) > 0 THEN
            PERFORM public.photo_generation_rest_shares(end_models, end_types, end_tenants);
        END IF;
        most := most - cardinality(tenants);
        EXIT WHEN NOT more;
        breadth := breadth * 2;
    END LOOP;
END $$;

-- Seconds until the next job may be claimed; 0 when one may be; NULL when none waits for a moment that
-- we know. Called by queue/next_due. What ends a wait for the cap of a tenant is the end of a job, and
-- whoever ends one looks for the next.
CREATE OR REPLACE FUNCTION public.photo_generation_next_due(accounts text[], types text[], crowded text[])
    RETURNS double precision LANGUAGE sql STABLE AS $$
WITH busy AS MATERIALIZED (SELECT * FROM public.photo_generation_busy() WHERE places <= 0)
SELECT CASE WHEN min(due.at) < 'infinity'
            THEN greatest(extract(epoch FROM greatest(
                min(due.at), (SELECT pace.usable FROM public.photo_generation_pace() AS pace), now())
                - now()), 0)::double precision END
FROM (
    -- The claim takes in what was noted.
    SELECT now() AS at WHERE EXISTS (SELECT FROM public.photo_generation_arrivals)
    UNION ALL
    SELECT greatest(kind.usable, least(
        (SELECT now() FROM public.photo_generation_shares AS share
         WHERE share.model = kind.model AND share.type = kind.type AND share."lookAt" IS NULL
           AND share.tenant NOT IN (SELECT busy.tenant FROM busy)
         LIMIT 1),
        (SELECT min(share."lookAt") FROM public.photo_generation_shares AS share
         WHERE share.model = kind.model AND share.type = kind.type AND share."emptySince" IS NULL
           AND share."lookAt" IS NOT NULL),
        -- greatest and least skip NULL.
        'infinity'))
    FROM public.photo_generation_waiting(accounts, types, crowded) AS kind
) AS due
$$;
