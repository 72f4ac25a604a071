-- Functions and triggers, made anew by every version of the schema.
--
-- Trigger functions are SECURITY DEFINER: an app's role that may do nothing but INSERT must not need rights
-- on our tables. They find what Postgres has, name what is ours, and look into pg_temp last: where it is
-- not named Postgres looks there first, and whoever inserts could slip in a type "text" of his own, and with
-- its check run whatever he likes in our name.
-- Where an app has `timestamp` columns they are read as UTC, whatever time zone its session has.

-- ------------------------------------------------------------------------------------- the limits

-- Gemini's quota day begins and ends at midnight Pacific time, summer or winter.
CREATE OR REPLACE FUNCTION public.photo_generation_quota_day() RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
SELECT date_trunc('day', now() AT TIME ZONE 'America/Los_Angeles') AT TIME ZONE 'America/Los_Angeles'
$$;
CREATE OR REPLACE FUNCTION public.photo_generation_next_quota_day() RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
SELECT (date_trunc('day', now() AT TIME ZONE 'America/Los_Angeles') + interval '1 day')
       AT TIME ZONE 'America/Los_Angeles'
$$;

-- The provider's "minute". Only tests make it shorter, by a row in settings: theirs have no time.
CREATE OR REPLACE FUNCTION public.photo_generation_quota_window() RETURNS interval
    LANGUAGE sql STABLE AS $$
SELECT coalesce((SELECT value::interval FROM public.photo_generation_settings
                 WHERE key = 'quotaWindow'), interval '60 seconds')
$$;

-- Money is counted by the day in UTC.
CREATE OR REPLACE FUNCTION public.photo_generation_spend_day() RETURNS timestamptz
    LANGUAGE sql STABLE AS $$
SELECT date_trunc('day', now(), 'UTC')
$$;

-- Who serves a model, by its name, as domain::model knows it; NULL: nobody whom we know. A job of such a
-- model ends as one that cannot be worked, and any worker may say so.
CREATE OR REPLACE FUNCTION public.photo_generation_provider(of_model text)
    RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN of_model = 'gemini-2.5-flash' THEN NULL        -- it answers in words
            WHEN of_model ~ '^gemini-[A-Za-z0-9._-]*-(pro|flash)[A-Za-z0-9._-]*$' THEN 'gemini'
            WHEN of_model ~ '^(gpt|chatgpt)-image-[A-Za-z0-9._-]*$' THEN 'openai' END
$$;

-- The most US dollars a day of the whole fleet; NULL: no limit. Whoever writes what is no number means
-- a limit all the same: then nothing may be spent, and the reason is told like any other.
CREATE OR REPLACE FUNCTION public.photo_generation_spend_limit() RETURNS numeric
    LANGUAGE sql STABLE AS $$
SELECT CASE WHEN value ~ '^ *[0-9]+(\.[0-9]*)? *$' THEN value::numeric ELSE 0 END
FROM public.photo_generation_settings WHERE key = 'dailySpendLimit'
$$;

-- Holds back every other call that counts against the same sum until this transaction ends. Empty: the
-- sum of the whole fleet. Whoever holds one waits for no row, and takes the fleet's first.
CREATE OR REPLACE FUNCTION public.photo_generation_count_alone(
        of_provider text, of_account text, of_model text)
    RETURNS void LANGUAGE sql AS $$
SELECT pg_advisory_xact_lock(
    hashtextextended(concat_ws('/', 'safelight', of_provider, of_account, of_model), 0))
$$;

-- The accounts and models that were ever called: a loose index scan of the ledger.
CREATE OR REPLACE FUNCTION public.photo_generation_called()
    RETURNS TABLE (provider text, account text, model text) LANGUAGE sql STABLE AS $$
WITH RECURSIVE called AS (
    (SELECT c.provider, c.account, c.model FROM public.photo_generation_calls AS c
     ORDER BY 1, 2, 3 LIMIT 1)
    UNION ALL
    SELECT after.provider, after.account, after.model
    FROM called CROSS JOIN LATERAL (
        SELECT c.provider, c.account, c.model FROM public.photo_generation_calls AS c
        WHERE (c.provider, c.account, c.model) > (called.provider, called.account, called.model)
        ORDER BY 1, 2, 3 LIMIT 1) AS after
)
SELECT called.provider, called.account, called.model FROM called
$$;

-- The calls of a quota day and the money of a day in UTC on an account and a model, those in flight and
-- those of unknown end included: a total, which the sweep rolls forward, and what the ledger has since.
-- So a look costs the same at any volume. STABLE, so that both are of one snapshot.
CREATE OR REPLACE FUNCTION public.photo_generation_today(
        of_provider text, of_account text, of_model text)
    RETURNS TABLE (calls bigint, cost numeric) LANGUAGE plpgsql STABLE AS $$
DECLARE
    quota_day   CONSTANT timestamptz := public.photo_generation_quota_day();
    spend_day   CONSTANT timestamptz := public.photo_generation_spend_day();
    total       public.photo_generation_totals;
    calls_since timestamptz := quota_day;
    cost_since  timestamptz := spend_day;
    since       timestamptz;
BEGIN
    SELECT * INTO total FROM public.photo_generation_totals
    WHERE provider = of_provider AND account = of_account AND model = of_model;
    IF total."quotaDay" = quota_day THEN
        calls_since := greatest(total."countedUntil", quota_day);
    END IF;
    IF total."spendDay" = spend_day THEN
        cost_since := greatest(total."countedUntil", spend_day);
    END IF;
    since := least(calls_since, cost_since);
    SELECT count(*) FILTER (WHERE state <> 'limited' AND "startedAt" >= calls_since),
           coalesce(sum("costUsd") FILTER (WHERE "startedAt" >= cost_since), 0)
    INTO calls, cost FROM public.photo_generation_calls
    WHERE provider = of_provider AND account = of_account AND model = of_model AND "startedAt" >= since;
    IF total."quotaDay" = quota_day THEN
        calls := calls + total.calls;
    END IF;
    IF total."spendDay" = spend_day THEN
        cost := cost + total.cost;
    END IF;
    RETURN NEXT;
END $$;

-- What all calls of the day in UTC have cost, on every account and model.
CREATE OR REPLACE FUNCTION public.photo_generation_spent_today() RETURNS numeric
    LANGUAGE sql STABLE AS $$
SELECT coalesce(sum(today.cost), 0) FROM public.photo_generation_called() AS called
CROSS JOIN LATERAL public.photo_generation_today(called.provider, called.account, called.model) AS today
$$;

-- Which totals are worth rolling: those that so many calls came after. Fewer are counted in no time.
CREATE OR REPLACE FUNCTION public.photo_generation_totals_due()
    RETURNS TABLE (provider text, account text, model text) LANGUAGE sql STABLE AS $$
SELECT called.provider, called.account, called.model
FROM public.photo_generation_called() AS called
LEFT JOIN public.photo_generation_totals AS total USING (provider, account, model)
WHERE EXISTS (
    SELECT FROM public.photo_generation_calls AS call
    WHERE call.provider = called.provider AND call.account = called.account
      AND call.model = called.model
      AND call."startedAt" >= greatest(
          total."countedUntil",
          least(public.photo_generation_quota_day(), public.photo_generation_spend_day()))
    OFFSET 500 LIMIT 1)
$$;

-- Rolls a total forward. First it takes in the calls before "settledUntil", of which an earlier roll has
-- found that none was open: what is settled stays as it is. Then it looks how far that is so by now. Who
-- has been granted a call and has not committed holds the lock, and later calls begin later; half a
-- minute is for a clock that is set back. Whoever finds another one at it leaves it to that one.
DROP FUNCTION IF EXISTS public.photo_generation_roll_total(text, text, text);
CREATE FUNCTION public.photo_generation_roll_total(of_provider text, of_account text, of_model text)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    quota_day   CONSTANT timestamptz := public.photo_generation_quota_day();
    spend_day   CONSTANT timestamptz := public.photo_generation_spend_day();
    total       public.photo_generation_totals;
    calls_since timestamptz := quota_day;
    cost_since  timestamptz := spend_day;
    since       timestamptz;
    more_calls  bigint;
    more_cost   numeric;
BEGIN
    INSERT INTO public.photo_generation_totals (provider, account, model)
    VALUES (of_provider, of_account, of_model) ON CONFLICT DO NOTHING;
    SELECT * INTO total FROM public.photo_generation_totals
    WHERE provider = of_provider AND account = of_account AND model = of_model
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF total."quotaDay" = quota_day THEN
        calls_since := greatest(total."countedUntil", quota_day);
    ELSE
        total.calls := 0;
    END IF;
    IF total."spendDay" = spend_day THEN
        cost_since := greatest(total."countedUntil", spend_day);
    ELSE
        total.cost := 0;
    END IF;
    since := least(calls_since, cost_since);
    SELECT count(*) FILTER (WHERE state <> 'limited' AND "startedAt" >= calls_since),
           coalesce(sum("costUsd") FILTER (WHERE "startedAt" >= cost_since), 0)
    INTO more_calls, more_cost FROM public.photo_generation_calls
    WHERE provider = of_provider AND account = of_account AND model = of_model
      AND "startedAt" >= since AND "startedAt" < total."settledUntil";

    PERFORM public.photo_generation_count_alone(of_provider, of_account, of_model);
    UPDATE public.photo_generation_totals
    SET "quotaDay" = quota_day, calls = total.calls + more_calls,
        "spendDay" = spend_day, cost = total.cost + more_cost,
        "countedUntil" = "settledUntil",
        "settledUntil" = greatest("settledUntil", least(
            clock_timestamp() - public.photo_generation_quota_window() / 2,
            (SELECT min("startedAt") FROM public.photo_generation_calls
             -- What a spooled call costs is known.
             WHERE state = 'calling' AND spool IS NULL
               AND provider = of_provider AND account = of_account AND model = of_model)))
    WHERE provider = of_provider AND account = of_account AND model = of_model;
END $$;

-- From when on a call may begin on an account and a model, and how many could begin then. The ledger
-- is what is counted: a call is in it before its request leaves, so it is the grant as well. What the
-- provider refused with a 429 it did not take.
--   ahead     0 for a call. A claim looks this far ahead: a job needs a moment until it can call.
--   own_...   the pace of one worker process, which holds where the row sets none; NULL: not asked.
--   usable    past: now; infinity: not before somebody acts
--   room      NULL: no limit. With usable in the future 0.
--   probing   a blocked account, and it is time to let one job through
--   why       what it waits for: a column's name, or the provider's reason
DROP FUNCTION IF EXISTS public.photo_generation_budget(text, text, text, interval, uuid, integer, integer);
CREATE FUNCTION public.photo_generation_budget(
        of_provider text, of_account text, of_model text, ahead interval,
        own_run uuid, own_concurrent integer, own_interval_ms integer)
    RETURNS TABLE (usable timestamptz, room integer, probing boolean, why text)
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    at           CONSTANT timestamptz := clock_timestamp();
    quota_window CONSTANT interval := public.photo_generation_quota_window();
    -- A grant is used within half a second, and its request may take another quarter to arrive: with
    -- this much more than a minute between them, no minute of the provider's ever sees more.
    reuse        CONSTANT interval :=
        quota_window + greatest(quota_window / 80, interval '200 milliseconds') - ahead;
    l            public.photo_generation_limits;
    sets_pace    boolean;
    most         integer;
    learned      double precision;
    stated       integer;
    per_window   integer;
    gap          interval;
    is_own       boolean;
    taken        bigint;
    moment       timestamptz;
    price        numeric;
    own_left     numeric;
    stop         numeric;
BEGIN
    SELECT * INTO l FROM public.photo_generation_limits
    WHERE provider = of_provider AND account = of_account AND model = of_model;
    sets_pace := num_nonnulls(l."requestsPerMinute", l."maxConcurrent", l."minIntervalMs") > 0;
    probing := l."blockedUntil" IS NOT NULL;
    usable := '-infinity';
    room := CASE WHEN probing THEN 1 END;

    -- What ends at a known moment, or by a hand.
    IF l.paused THEN
        usable := 'infinity';
        why := 'paused';
    ELSIF greatest(l."cooldownUntil", l."blockedUntil") > at THEN
        usable := greatest(l."cooldownUntil", l."blockedUntil");
        why := CASE WHEN l."blockedUntil" > at THEN coalesce(nullif(l.reason, 'cooldown'), 'blocked')
                    ELSE coalesce(l.reason, 'cooldown') END;
    END IF;
    -- The day's calls and the day's money: what this call costs must still be left. Money is bounded by
    -- itself: so many calls cost so much.
    stop := public.photo_generation_spend_limit();
    price := coalesce(l."costPerCall", public.photo_generation_list_price(of_provider, of_model));
    IF usable <= at AND num_nonnulls(l."requestsPerDay", l."maxCostPerDay") > 0 THEN
        SELECT calls, l."maxCostPerDay" - cost INTO taken, own_left
        FROM public.photo_generation_today(of_provider, of_account, of_model);
        room := least(room, l."requestsPerDay" - taken);
        IF room <= 0 THEN
            usable := public.photo_generation_next_quota_day();
            why := 'requestsPerDay';
        END IF;
    END IF;
    IF usable <= at AND stop IS NOT NULL THEN
        stop := stop - public.photo_generation_spent_today();
    END IF;
    IF usable <= at AND num_nonnulls(own_left, stop) > 0 THEN
        -- Where the price is not known, until the money that is counted is spent.
        IF least(own_left, stop) < coalesce(price, 0.000001) THEN
            usable := public.photo_generation_spend_day() + interval '24 hours';
            why := CASE WHEN stop < coalesce(price, 0.000001) THEN 'dailySpendLimit'
                        ELSE 'maxCostPerDay' END;
        ELSIF price > 0 THEN
            -- Bounded, since an integer is.
            room := least(room, floor(least(own_left, stop) / price), 1000000000);
        END IF;
    END IF;
    IF usable > at THEN
        room := 0;
        RETURN NEXT;
        RETURN;
    END IF;

    -- Calls at a time. Those of a worker that does not renew any more are over, as its lease is; those
    -- that were accepted have had their answer: their picture waits in a spool, or is looked at.
    most := coalesce(l."maxConcurrent", CASE WHEN NOT sets_pace THEN own_concurrent END);
    IF most IS NOT NULL THEN
        SELECT count(*) INTO taken FROM public.photo_generation_calls AS call
        WHERE state = 'calling' AND accepted IS NULL
          AND provider = of_provider AND account = of_account AND model = of_model
          AND (sets_pace OR run = own_run)
          AND EXISTS (SELECT FROM public.photo_generation_workers AS worker
                      WHERE worker.run = call.run AND "renewedAt" > now() - interval '30 seconds');
        IF taken >= most THEN
            -- Nobody knows when one ends: a guess, at which to look again.
            usable := at + interval '1 second';
            room := 0;
            why := CASE WHEN sets_pace THEN 'maxConcurrent' ELSE 'pace' END;
            RETURN NEXT;
            RETURN;
        END IF;
        room := least(room, most - taken);
    END IF;

    -- After a refusal the first call goes alone, for as long as a second refusal takes to come.
    IF l."limitedInARow" > 0 AND l."cooldownUntil" IS NOT NULL THEN
        SELECT min("startedAt") INTO moment FROM public.photo_generation_calls
        WHERE provider = of_provider AND account = of_account AND model = of_model
          AND "startedAt" >= l."cooldownUntil";
        room := CASE WHEN moment IS NULL THEN 1 ELSE room END;
        IF moment + quota_window / 60 > at THEN
            usable := moment + quota_window / 60;
            room := 0;
            why := 'cooldown';
        END IF;
    END IF;

    -- Calls in the window: what operators allow, and what the provider took when it last refused. That
    -- is held a little below for a third of a minute, and then tried in steps, 2, 6, 14, 30 % and so on
    -- above: by itself it is back in minutes, and each step that was too much is taken back.
    learned := l."learnedPerMinute" * 0.97 * (1 + 0.02 * (power(2, least(20, floor(
        extract(epoch FROM at - l."learnedAt") / extract(epoch FROM quota_window / 3)))) - 1));
    -- What the provider said itself is believed for an hour: by then the account may have a larger one.
    stated := CASE WHEN l."statedAt" > at - 60 * quota_window THEN l."statedPerMinute" END;
    IF num_nonnulls(l."requestsPerMinute", learned, stated) > 0 THEN
        per_window := greatest(1, least(l."requestsPerMinute", floor(learned), stated));
    END IF;
    IF per_window IS NOT NULL THEN
        SELECT count(*), min("startedAt") INTO taken, moment
        FROM (SELECT "startedAt" FROM public.photo_generation_calls
              WHERE provider = of_provider AND account = of_account AND model = of_model
                AND "startedAt" > at - reuse AND state <> 'limited'
              ORDER BY "startedAt" DESC LIMIT per_window) AS recent;
        room := least(room, per_window - taken);
        IF taken >= per_window AND moment + reuse > usable THEN
            usable := moment + reuse;
            why := CASE per_window WHEN l."requestsPerMinute" THEN 'requestsPerMinute'
                                   WHEN stated THEN 'statedPerMinute'
                                   ELSE 'learnedPerMinute' END;
        END IF;
    END IF;

    -- Calls apart. Where a rate is known they are spread over the minute, with a fifth to spare for
    -- what was missed: so that a refusal stops the rest, and no burst follows a pause. In a minute that
    -- is all but full the calls of the minute before keep them apart; there half is enough, else each
    -- moment that one comes late is lost to all that follow (1 % of the quota with 2 ms a call).
    FOREACH gap IN ARRAY ARRAY[
        greatest(quota_window / per_window * CASE WHEN taken > per_window * 0.95 THEN 0.5 ELSE 0.8 END,
                 make_interval(secs => l."minIntervalMs" / 1000.0)),
        CASE WHEN NOT sets_pace THEN make_interval(secs => own_interval_ms / 1000.0) END]
    LOOP
        is_own := NOT coalesce(is_own, true);
        CONTINUE WHEN gap IS NULL OR gap <= interval '0';
        SELECT max("startedAt") INTO moment FROM public.photo_generation_calls
        WHERE provider = of_provider AND account = of_account AND model = of_model
          AND "startedAt" > at - gap AND (NOT is_own OR run = own_run);
        moment := coalesce(moment + gap, at) - ahead;
        IF moment > at AND moment > usable THEN
            usable := moment;
            why := CASE WHEN is_own THEN 'pace' ELSE 'minIntervalMs' END;
        END IF;
        room := least(room, 1 + floor(greatest(extract(epoch FROM at - moment), 0)
                                      / extract(epoch FROM gap)));
    END LOOP;
    IF usable > at THEN
        room := 0;
    END IF;
    RETURN NEXT;
END $$;

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

-- The type of a row, as the indexes have it.
CREATE OR REPLACE FUNCTION public.photo_generation_type(type text)
    RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT left(coalesce(type, 'photo_generation'), 200)
$$;

-- How many images a row asks for. photo_generation says it in "numImagesPerExample"; the other types in
-- their payload: one per prompt of "prompts", else "numImages", else one. What is no number is left to
-- domain::request, which refuses the row.
CREATE OR REPLACE FUNCTION public.photo_generation_wanted(type text, per_example numeric, payload jsonb)
    RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN public.photo_generation_type(type) = 'photo_generation' THEN per_example
            WHEN type = 'tryon' THEN 1
            WHEN jsonb_typeof(payload -> 'prompts') = 'array' AND payload -> 'prompts' <> '[]'
                THEN jsonb_array_length(payload -> 'prompts')
            WHEN jsonb_typeof(payload -> 'numImages') = 'number' THEN (payload ->> 'numImages')::numeric
            ELSE 1 END
$$;

-- What a row asks to be made, for people to see. The types that have a payload say it there in a text that is
-- not blank, or else in the column; of a prompt for each image it is the first. What is called for is
-- domain::request's to say; a test compares the two.
CREATE OR REPLACE FUNCTION public.photo_generation_prompt(type text, base text, payload jsonb)
    RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT coalesce((
    SELECT said.prompt
    FROM (VALUES (1, CASE WHEN type = 'image_edit' THEN payload -> 'editPrompt' END),
                 (2, CASE WHEN type IN ('image_generation', 'image_edit', 'tryon') THEN payload -> 'prompt' END),
                 (3, CASE WHEN type IN ('image_generation', 'image_edit') THEN payload -> 'prompts' -> 0 END)
         ) AS named (place, value)
    CROSS JOIN nullif(btrim(named.value #>> '{}', E' \t\n\v\f\r'), '') AS said (prompt)
    WHERE jsonb_typeof(named.value) = 'string' AND said.prompt IS NOT NULL
    ORDER BY named.place LIMIT 1), base)
$$;

-- Whom a row is for, in the words of domain::tenant. Ids as text, since an app's may be of any type.
CREATE OR REPLACE FUNCTION public.photo_generation_tenant("teamId" text, "userId" text)
    RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT left(coalesce('team:' || nullif("teamId", ''), 'user:' || nullif("userId", ''), 'none'), 200)
$$;

-- What operators have paused of a job, by its type, the model it calls and its tenant.
CREATE OR REPLACE FUNCTION public.photo_generation_pauses_of(of_type text, of_model text, of_tenant text)
    RETURNS SETOF public.photo_generation_pauses LANGUAGE sql STABLE AS $$
SELECT * FROM public.photo_generation_pauses
WHERE (what, name) IN (('all', ''), ('type', of_type), ('model', of_model), ('tenant', of_tenant))
$$;

-- ------------------------------------------------------------------------------------ the call

-- The last gate before money: whether a call may begin now, on which account, and its row in the
-- ledger, committed before the request leaves. Called by queue/calling, for an image of a job or, where
-- step_name says so, for one of its steps.
--
-- Not one statement but a function, because a statement's snapshot is older than a lock taken inside
-- it: here each query has its own, so what is counted after the lock is what is there. (Limit 4 and 16
-- clients, with the count in the statement of the lock: 12 calls at once.) Locks are taken in one
-- order: job, image or step, its garment, the fleet's money where that has a limit, account. A hand may hold
-- the first three for long, and only their job waits; whoever holds the others waits for nobody. One account per
-- transaction, so that two can never wait for each other.
--   verdict   lost | expired | wait | granted
--   seconds   of a wait: until it may be asked again; NULL: nobody knows
--   held      of a grant: seconds from the start of this transaction to the grant; NULL: it keeps, as no
--             calls are counted by the minute here
DROP FUNCTION IF EXISTS public.photo_generation_call(
    bigint, bigint, uuid, integer, text, uuid, text, text, text[], text, double precision, integer, integer);
CREATE FUNCTION public.photo_generation_call(
        job_id bigint, job_lease bigint, call_id uuid, image_index integer, step_name text,
        worker_run uuid,
        job_tenant text, call_provider text, accounts text[], call_model text,
        deadline_seconds double precision, own_concurrent integer, own_interval_ms integer)
    RETURNS TABLE (verdict text, chosen text, seconds double precision, why text,
                   limited integer, troubled boolean, "grantedAt" timestamptz, held double precision)
    LANGUAGE plpgsql AS $$
DECLARE
    job    record;
    wanted record;
    before record;
    best   record;
    free   boolean;
    budget record;
    l      public.photo_generation_limits;
BEGIN
    SELECT id, lease, "jobId", attempts, coalesce("expiresAt" <= clock_timestamp(), false) AS expired,
           public.photo_generation_type(type::text) AS type,
           public.photo_generation_tenant("teamId"::text, "userId"::text) AS tenant
    INTO job FROM public.photo_generation_queue
    WHERE id = job_id AND lease = job_lease AND status = 'processing'
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        verdict := 'lost';
        RETURN NEXT;
        RETURN;
    END IF;
    IF step_name IS NULL THEN
        SELECT state, "callId" INTO wanted FROM public.photo_generation_images AS i
        WHERE i."jobId" = job_id AND i.index = image_index
        FOR NO KEY UPDATE;
    ELSE
        SELECT state, "callId", garment INTO wanted FROM public.photo_generation_steps AS s
        WHERE s."jobId" = job_id AND s.step = step_name
        FOR NO KEY UPDATE;
        PERFORM FROM public.photo_generation_garments AS g WHERE g.garment = wanted.garment
        FOR NO KEY UPDATE;
    END IF;

    -- Sent twice after a lost connection: what was granted is granted. When it is settled already,
    -- nothing changes.
    SELECT account, state, "startedAt" INTO before FROM public.photo_generation_calls
    WHERE id = call_id;
    IF FOUND THEN
        verdict := 'lost';
        IF before.state = 'calling' AND wanted.state = 'calling' AND wanted."callId" = call_id THEN
            UPDATE public.photo_generation_calls
            SET "deadlineAt" = now() + make_interval(secs => deadline_seconds) WHERE id = call_id;
            verdict := 'granted';
            chosen := before.account;
            "grantedAt" := before."startedAt";
        END IF;
    ELSIF wanted.state IS DISTINCT FROM 'planned' THEN
        verdict := 'lost';
    ELSIF job.expired THEN
        verdict := 'expired';
    ELSIF EXISTS (SELECT FROM public.photo_generation_pauses_of(job.type, call_model, job.tenant)) THEN
        -- Until a hand resumes it, and nobody knows when: the job goes back.
        verdict := 'wait';
        why := 'paused';
    ELSE
        -- The account that can serve soonest; of several the one that is not blocked; else by lot.
        SELECT a.name, b.* INTO best
        FROM unnest(accounts) AS a (name)
        CROSS JOIN LATERAL public.photo_generation_budget(
            call_provider, a.name, call_model, '0', worker_run, own_concurrent, own_interval_ms) AS b
        ORDER BY greatest(b.usable, now()), b.probing, random() LIMIT 1;
        chosen := best.name;
        budget := best;
        -- Asked once: what is not free at first is not granted without the lock a moment later.
        free := best.usable <= clock_timestamp();
        IF free THEN
            -- A model that nobody knew of gets its row with its first call.
            INSERT INTO public.photo_generation_limits (provider, account, model, "requestsPerMinute")
            SELECT call_provider, chosen, call_model, public.photo_generation_first_per_minute(call_provider)
            WHERE NOT EXISTS (SELECT FROM public.photo_generation_limits AS known
                              WHERE known.provider = call_provider AND known.account = chosen
                                AND known.model = call_model)
            ON CONFLICT DO NOTHING;
            IF public.photo_generation_spend_limit() IS NOT NULL THEN
                PERFORM public.photo_generation_count_alone(NULL, NULL, NULL);
            END IF;
            PERFORM public.photo_generation_count_alone(call_provider, chosen, call_model);
            SELECT chosen AS name, b.* INTO budget
            FROM public.photo_generation_budget(
                call_provider, chosen, call_model, '0', worker_run, own_concurrent, own_interval_ms) AS b;
        END IF;
        verdict := 'wait';
        why := budget.why;
        IF free AND budget.usable <= clock_timestamp() THEN
            verdict := 'granted';
        ELSIF free AND cardinality(accounts) > 1 THEN
            -- Somebody was quicker here; another account may be free.
            seconds := 0;
        ELSIF why IN (
                  'cooldown', 'requestsPerMinute', 'learnedPerMinute', 'statedPerMinute', 'maxConcurrent',
                  'minIntervalMs', 'pace') THEN
            -- What takes longer, an operator may end at any moment. Jobs that wait for it go back
            -- without a moment to wait for: the claim looks at the account.
            seconds := greatest(extract(epoch FROM budget.usable - clock_timestamp()), 0);
        END IF;
    END IF;

    SELECT * INTO l FROM public.photo_generation_limits
    WHERE provider = call_provider AND account = chosen AND model = call_model;
    limited := coalesce(l."limitedInARow", 0);
    troubled := l."blockedUntil" IS NOT NULL OR limited > 0 OR l.reason IS NOT NULL;
    IF verdict = 'granted' AND "grantedAt" IS NULL THEN
        -- Who moves blockedUntil has the probe. A row that a hand holds is not waited for.
        IF budget.probing THEN
            UPDATE public.photo_generation_limits AS blocked
            SET "blockedUntil" = now() + interval '5 minutes', "updatedAt" = now()
            FROM (SELECT provider, account, model FROM public.photo_generation_limits
                  WHERE provider = call_provider AND account = chosen AND model = call_model
                    AND "blockedUntil" <= clock_timestamp()
                  FOR NO KEY UPDATE SKIP LOCKED) AS free
            WHERE blocked.provider = free.provider AND blocked.account = free.account
              AND blocked.model = free.model;
            IF NOT FOUND THEN
                -- Asked again in a moment: the claim would find the account free, again and again.
                verdict := 'wait';
                why := l.reason;
                seconds := 1;
                RETURN NEXT;
                RETURN;
            END IF;
        END IF;
        "grantedAt" := clock_timestamp();
        INSERT INTO public.photo_generation_calls
            (id, "jobId", "jobUuid", tenant, index, step, lease, run, worker, attempt, provider, account,
             model, "costUsd", "startedAt", "deadlineAt")
        VALUES (call_id, job.id, job."jobId", job_tenant, image_index, step_name, job.lease, worker_run,
                (SELECT concat_ws('@', label, host) FROM public.photo_generation_workers AS worker
                 WHERE worker.run = worker_run),
                least(coalesce(job.attempts, 0), 2147483646) + 1, call_provider, chosen, call_model,
                coalesce(l."costPerCall", public.photo_generation_list_price(call_provider, call_model)),
                "grantedAt", "grantedAt" + make_interval(secs => deadline_seconds));
        UPDATE public.photo_generation_images AS i
        SET state = 'calling', "callId" = call_id, "updatedAt" = now()
        WHERE step_name IS NULL AND i."jobId" = job_id AND i.index = image_index;
        UPDATE public.photo_generation_steps AS s
        SET state = 'calling', "callId" = call_id, "updatedAt" = now()
        WHERE s."jobId" = job_id AND s.step = step_name;
    END IF;
    held := CASE WHEN num_nonnulls(l."requestsPerMinute", l."statedPerMinute") > 0 THEN extract(epoch FROM "grantedAt" - now()) END;
    RETURN NEXT;
END $$;

-- As workers of schema version 5 call it, which know no steps: those that run go on through a migration.
CREATE OR REPLACE FUNCTION public.photo_generation_call(
        job_id bigint, job_lease bigint, call_id uuid, image_index integer, worker_run uuid,
        job_tenant text, call_provider text, accounts text[], call_model text,
        deadline_seconds double precision, own_concurrent integer, own_interval_ms integer)
    RETURNS TABLE (verdict text, chosen text, seconds double precision, why text,
                   limited integer, troubled boolean, "grantedAt" timestamptz, held double precision)
    LANGUAGE sql AS $$
SELECT * FROM public.photo_generation_call(
    job_id, job_lease, call_id, image_index, NULL, worker_run, job_tenant, call_provider, accounts,
    call_model, deadline_seconds, own_concurrent, own_interval_ms)
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
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
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
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
BEGIN
    NEW."completedAt" := now();
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_born_final
    BEFORE INSERT ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (NEW.status IN ('completed', 'failed', 'canceled') AND NEW."completedAt" IS NULL)
    EXECUTE FUNCTION public.photo_generation_born_final();

-- What a row of another type than photo_generation asks for is in its payload: said in a column from
-- then on, for all who look. An insert of an app is never refused: what does not fit stays unknown.
CREATE OR REPLACE FUNCTION public.photo_generation_count_images() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW."imagesTotal" IS NULL THEN
        NEW."imagesTotal" := greatest(public.photo_generation_wanted(
            NEW.type::text, NEW."numImagesPerExample"::numeric, NEW.payload::jsonb), 1);
    END IF;
    RETURN NEW;
EXCEPTION WHEN OTHERS THEN
    NEW."imagesTotal" := NULL;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_count_images
    BEFORE INSERT ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (NEW.type::text <> 'photo_generation')
    EXECUTE FUNCTION public.photo_generation_count_images();

-- A row that names a provider and no model asks for that provider's default, and says so from then on:
-- what waits is found by its model. Before a worker of that provider has recorded one, it is what such a
-- worker records. An insert of an app is never refused: what does not fit the app's own column is left
-- out, and whoever claims the row tells that it cannot be worked.
CREATE OR REPLACE FUNCTION public.photo_generation_name_model() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.model := coalesce(
        (SELECT value FROM public.photo_generation_settings
         WHERE key = 'defaultModel.' || NEW.provider::text),
        CASE NEW.provider::text WHEN 'openai' THEN 'gpt-image-1.5' WHEN 'gemini' THEN 'gemini-2.5-flash-image' END);
    RETURN NEW;
EXCEPTION WHEN OTHERS THEN
    NEW.model := NULL;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_name_model
    BEFORE INSERT OR UPDATE ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (NEW.provider::text IN ('gemini', 'openai') AND coalesce(NEW.model::text, '') = ''
          AND NEW.status IN ('pending', 'rate_limited'))
    EXECUTE FUNCTION public.photo_generation_name_model();

-- A finished row set back to pending: what is stored stays, everything else is planned again, with
-- a fresh allowance for one ambiguous repeat. (A call still in flight is settled by the next claim.)
CREATE OR REPLACE FUNCTION public.photo_generation_again() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
-- Whoever resumes, or lets a tenant run more, wants to see it at once.
CREATE OR REPLACE TRIGGER photo_generation_wake_on_resume
    AFTER UPDATE OR DELETE ON public.photo_generation_pauses
    FOR EACH STATEMENT EXECUTE FUNCTION public.photo_generation_wake();
-- By row, so that WHEN spares the refusals and recoveries of a minute's limit.
CREATE OR REPLACE TRIGGER photo_generation_wake_on_unblock
    AFTER UPDATE ON public.photo_generation_limits
    FOR EACH ROW
    WHEN ((OLD.paused AND NOT NEW.paused)
          OR (OLD."blockedUntil" IS NOT NULL AND NEW."blockedUntil" IS NULL)
          OR (OLD."cooldownUntil" > now() AND NEW."cooldownUntil" IS NULL))
    EXECUTE FUNCTION public.photo_generation_wake();
CREATE OR REPLACE TRIGGER photo_generation_wake_on_cap
    AFTER INSERT OR UPDATE OR DELETE ON public.photo_generation_tenants
    FOR EACH STATEMENT EXECUTE FUNCTION public.photo_generation_wake();
