-- Credits: what customers pay with. Off unless the setting credits says otherwise.
--
-- ledger   A job reserves what its images may cost as it is inserted. Each image that is stored captures its
--          share; what the others reserved comes back when the job has ended, whoever ends it.
-- app      The app keeps the accounts; when a job ends it is told which images it did not get.
--
-- All of it commits with the change it is about, so it happens once. Who locks what: only what may overdraw
-- an account (reserve, grant) locks its row. Capture and refund are written under the lock on the job's row,
-- which everybody holds who changes its images or ends it; beside that they touch the job's own
-- reservations and append lines that nobody else writes. So an app's open transaction, which holds the
-- account of whom it inserted for, never stalls a finish.
--
-- A reservation lists its open images, and an image is in one of them at most. One that is being called
-- when its job ends stays open, until the end of that call says what became of it: the picture may yet be
-- stored. If the job is set back to pending meanwhile, the image stays of its former round, is paid for by
-- it and reserved for no second time. Images that nobody reserved for (more than the row asked for when it was
-- inserted, or from before credits were switched on) cost nothing and bring nothing back.
--
-- A job is known by its uuid as well as by its id, which may come again (TRUNCATE RESTART IDENTITY). Rows of
-- an app's own table may get theirs later: of what has none only the id counts.
--
-- What goes by the state of rows is decided in READ COMMITTED only: an older snapshot may show an image as
-- not made that has been called since. Such transactions leave it to the sweep, which also settles what no
-- trigger saw.

-- off, ledger or app. What else somebody may have written there counts as off: who mistypes it must not
-- stop inserts.
CREATE OR REPLACE FUNCTION public.photo_generation_credits_mode() RETURNS text
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((SELECT value FROM public.photo_generation_settings
                     WHERE key = 'credits' AND value IN ('ledger', 'app')), 'off');
END $$;

-- How many images can come of a row, as a claim reads it; none if it cannot be worked. Whatever is in it,
-- it must be insertable.
CREATE OR REPLACE FUNCTION public.photo_generation_payable(type text, per_example numeric, payload text)
    RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    images numeric;
BEGIN
    images := round(coalesce(public.photo_generation_wanted(type, per_example, payload::jsonb), 4));
    RETURN CASE WHEN images BETWEEN 1 AND 100 THEN images ELSE 0 END;
EXCEPTION WHEN OTHERS THEN
    RETURN 0;
END $$;

-- Credits for one image. A row without a model asks for the default one.
CREATE OR REPLACE FUNCTION public.photo_generation_credit_price(of_type text, of_model text)
    RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((
        SELECT price.credits FROM public.photo_generation_credit_prices AS price
        WHERE price.type IN (of_type, '')
          AND price.model IN (coalesce(nullif(of_model, ''), public.photo_generation_default_model()), '')
        ORDER BY price.model = '', price.type = '' LIMIT 1), 1);
END $$;

-- ------------------------------------------------------------------------------------- the account

-- Takes credits of an account, whose row stays locked until this transaction ends. NULL: they are taken.
-- Else what there is, which is not enough.
-- The returns are deleted by a statement of its own: the one that waits for the lock has a snapshot from
-- before it. Without an account there is nothing to take, but nothing may be needed.
CREATE OR REPLACE FUNCTION public.photo_generation_take_credits(of_tenant text, needed numeric)
    RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    held numeric;
BEGIN
    SELECT balance INTO held FROM public.photo_generation_credits WHERE tenant = of_tenant FOR UPDATE;
    IF NOT FOUND THEN
        RETURN CASE WHEN needed > 0 THEN 0 END;
    END IF;
    WITH returned AS (
        DELETE FROM public.photo_generation_credit_returns WHERE tenant = of_tenant RETURNING amount
    )
    SELECT held + coalesce(sum(amount), 0) INTO held FROM returned;
    UPDATE public.photo_generation_credits
    SET balance = CASE WHEN held >= needed THEN held - needed ELSE held END, "updatedAt" = now()
    WHERE tenant = of_tenant;
    RETURN CASE WHEN held < needed THEN held END;
END $$;

-- PT402, so that Supabase's API answers with 402; programs find the numbers in the details.
CREATE OR REPLACE FUNCTION public.photo_generation_refuse_credits(
        of_tenant text, remaining numeric, required numeric)
    RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'PT402', MESSAGE = 'insufficient_credits',
        DETAIL = json_build_object('tenant', of_tenant, 'remaining', remaining,
                                   'required', least(required, 9223372036854775807))::text,
        HINT = format('%s has %s credits left, and this takes %s. To give it more: safelight credits grant %s AMOUNT',
                      of_tenant, remaining, required, of_tenant);
END $$;

-- Gives a tenant credits, or takes some back: never more than there are. Returns what there is then. For
-- apps, too: SELECT photo_generation_grant_credits('user:7', 100, 'order 81')
CREATE OR REPLACE FUNCTION public.photo_generation_grant_credits(
        to_tenant text, credits bigint, why text DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    short numeric;
BEGIN
    IF to_tenant !~ '^((team|user):.+|none)$' OR length(to_tenant) > 200 OR credits IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('"%s" is no tenant: team:ID, user:ID or none', to_tenant);
    END IF;
    INSERT INTO public.photo_generation_credits (tenant) VALUES (to_tenant) ON CONFLICT DO NOTHING;
    short := public.photo_generation_take_credits(to_tenant, -credits);
    IF short IS NOT NULL THEN
        PERFORM public.photo_generation_refuse_credits(to_tenant, short, -credits);
    END IF;
    INSERT INTO public.photo_generation_credit_entries (tenant, kind, amount, reason)
    VALUES (to_tenant, 'grant', credits, why);
    RETURN (SELECT balance FROM public.photo_generation_credits WHERE tenant = to_tenant);
END $$;

-- ---------------------------------------------------------------------------------- ledger: reserve

-- Which round the next reservation for a job is. Its id may have been another job's before, whose entries
-- stay.
CREATE OR REPLACE FUNCTION public.photo_generation_credit_round(of_job bigint) RETURNS integer
    LANGUAGE sql STABLE AS $$
SELECT 1 + coalesce(max(round), 0) FROM public.photo_generation_credit_entries
WHERE "jobId" = of_job AND kind = 'reserve'
$$;

-- Jobs that came: all of a statement, or the statement fails. Tenant by tenant in their order, so that two
-- statements never wait for each other. What a job costs is read once, in one statement: prices may change.
CREATE OR REPLACE FUNCTION public.photo_generation_reserve() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account record;
    short   numeric;
BEGIN
    IF public.photo_generation_credits_mode() <> 'ledger' THEN
        RETURN NULL;
    END IF;
    FOR account IN
        WITH job AS MATERIALIZED (
            SELECT came.id, came."jobId" AS uuid,
                   public.photo_generation_tenant(came."teamId"::text, came."userId"::text) AS tenant,
                   public.photo_generation_payable(came.type::text, came."numImagesPerExample"::numeric,
                                                   came.payload::text) AS images,
                   public.photo_generation_credit_price(
                       public.photo_generation_type(came.type::text), came.model::text) AS each
            FROM inserted AS came
            WHERE came.status::text IN ('pending', 'processing', 'rate_limited')
        )
        SELECT job.tenant, sum(job.each::numeric * job.images) AS needed,
               array_agg(job.id::bigint) AS ids, array_agg(job.uuid) AS uuids,
               array_agg(job.each) AS prices, array_agg(job.images) AS images
        FROM job WHERE job.images > 0
        GROUP BY job.tenant ORDER BY job.tenant
    LOOP
        short := public.photo_generation_take_credits(account.tenant, account.needed);
        IF short IS NOT NULL THEN
            PERFORM public.photo_generation_refuse_credits(account.tenant, short, account.needed);
        END IF;
        WITH job AS MATERIALIZED (
            SELECT came.*, public.photo_generation_credit_round(came.id) AS round
            FROM unnest(account.ids, account.uuids, account.prices, account.images)
                     AS came (id, uuid, each, images)
        ),
        entry AS (
            INSERT INTO public.photo_generation_credit_entries
                (tenant, kind, amount, "jobId", "jobUuid", round)
            SELECT account.tenant, 'reserve', job.each * job.images, job.id, job.uuid, job.round FROM job
        )
        INSERT INTO public.photo_generation_credit_reservations
            ("jobId", round, "jobUuid", tenant, each, open)
        SELECT job.id, job.round, job.uuid, account.tenant, job.each,
               ARRAY(SELECT generate_series(1, job.images))
        FROM job;
    END LOOP;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_reserve
    AFTER INSERT ON public.photo_generation_queue
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION public.photo_generation_reserve();

-- A job that had ended is to be done again: it pays anew, for the images that are neither stored nor open
-- in a former round. Without credit it ends at once. Before photo_generation_fence, by its name, which
-- then sees a job that stays ended.
-- Accounts are locked in the order of the rows. Nothing of ours sets jobs of several tenants back in one
-- statement (a retry inserts). Whoever does it by hand may meet an insert for the same tenants, and Postgres
-- ends one of the two as a deadlock, unless the accounts are locked before, in order, in the same transaction:
-- SELECT FROM photo_generation_credits ORDER BY tenant FOR UPDATE
CREATE OR REPLACE FUNCTION public.photo_generation_credits_again() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    of_tenant CONSTANT text := public.photo_generation_tenant(NEW."teamId"::text, NEW."userId"::text);
    each      CONSTANT bigint := public.photo_generation_credit_price(
        public.photo_generation_type(NEW.type::text), NEW.model::text);
    missing   integer[];
    needed    numeric;
    short     numeric;
    round     integer;
BEGIN
    IF public.photo_generation_credits_mode() <> 'ledger' THEN
        RETURN NEW;
    END IF;
    -- What is open must not be settled meanwhile: who has an old snapshot fails here.
    PERFORM FROM public.photo_generation_credit_reservations WHERE "jobId" = NEW.id FOR UPDATE;
    missing := ARRAY(
        SELECT wanted.index
        FROM generate_series(1, public.photo_generation_payable(
                 NEW.type::text, NEW."numImagesPerExample"::numeric, NEW.payload::text)) AS wanted (index)
        WHERE NOT EXISTS (SELECT FROM public.photo_generation_images AS image
                          WHERE image."jobId" = NEW.id AND image.index = wanted.index
                            AND image.state = 'stored')
          AND NOT EXISTS (SELECT FROM public.photo_generation_credit_reservations AS former
                          WHERE former."jobId" = NEW.id AND wanted.index = ANY (former.open)
                            AND coalesce(former."jobUuid" = NEW."jobId", former."jobUuid" IS NULL)));
    IF missing = '{}' THEN
        RETURN NEW;
    END IF;
    needed := each::numeric * cardinality(missing);
    short := public.photo_generation_take_credits(of_tenant, needed);
    IF short IS NOT NULL THEN
        NEW.status := public.photo_generation_status('failed');
        NEW."errorCode" := 'insufficient_credits';
        NEW."errorMessage" := format('Not enough credits: %s left, %s needed.', short, needed);
        NEW."completedAt" := coalesce(NEW."completedAt", now());
        RETURN NEW;
    END IF;
    round := public.photo_generation_credit_round(NEW.id);
    INSERT INTO public.photo_generation_credit_entries (tenant, kind, amount, "jobId", "jobUuid", round)
    VALUES (of_tenant, 'reserve', needed, NEW.id, NEW."jobId", round);
    INSERT INTO public.photo_generation_credit_reservations ("jobId", round, "jobUuid", tenant, each, open)
    VALUES (NEW.id, round, NEW."jobId", of_tenant, each, missing);
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_credits_again
    BEFORE UPDATE ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'canceled')
          AND NEW.status NOT IN ('completed', 'failed', 'canceled'))
    EXECUTE FUNCTION public.photo_generation_credits_again();

-- --------------------------------------------------------------------- ledger: capture and refund

-- A picture is stored: it is paid for.
CREATE OR REPLACE FUNCTION public.photo_generation_capture() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held public.photo_generation_credit_reservations;
BEGIN
    SELECT reservation.* INTO held FROM public.photo_generation_credit_reservations AS reservation
    JOIN public.photo_generation_queue AS job ON job.id = reservation."jobId"
    WHERE reservation."jobId" = NEW."jobId" AND NEW.index = ANY (reservation.open)
      AND coalesce(reservation."jobUuid" = job."jobId", reservation."jobUuid" IS NULL)
    FOR UPDATE OF reservation;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.photo_generation_credit_entries
        (tenant, kind, amount, "jobId", "jobUuid", round, index)
    VALUES (held.tenant, 'capture', held.each, held."jobId", held."jobUuid", held.round, NEW.index);
    IF cardinality(held.open) = 1 THEN
        DELETE FROM public.photo_generation_credit_reservations
        WHERE "jobId" = held."jobId" AND round = held.round;
    ELSE
        UPDATE public.photo_generation_credit_reservations SET open = array_remove(open, NEW.index)
        WHERE "jobId" = held."jobId" AND round = held.round;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_capture
    AFTER UPDATE OF state ON public.photo_generation_images
    FOR EACH ROW WHEN (NEW.state = 'stored' AND OLD.state <> 'stored')
    EXECUTE FUNCTION public.photo_generation_capture();

-- Settles what can be settled of a job, by how its images stand: stored is captured; of a job that has ended
-- or is gone all else is refunded, but for what is still being called. Whoever calls it holds the job's row.
CREATE OR REPLACE FUNCTION public.photo_generation_settle(of_job bigint) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM public.photo_generation_credit_reservations WHERE "jobId" = of_job FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH verdict AS MATERIALIZED (
        SELECT held."jobId", held.round, held."jobUuid", held.tenant, held.each, image.index,
               CASE WHEN job.id IS NULL THEN 'refund'
                    WHEN made.state = 'stored' THEN 'capture'
                    WHEN made.state = 'calling' THEN NULL
                    -- By another program, which says nothing of its images here: it is paid for.
                    WHEN job.status = 'completed' AND NOT EXISTS (
                        SELECT FROM public.photo_generation_images AS any_of
                        WHERE any_of."jobId" = job.id AND any_of.state = 'stored') THEN 'capture'
                    WHEN job.status IN ('completed', 'failed', 'canceled') THEN 'refund' END AS kind,
               CASE WHEN job.id IS NULL THEN 'deleted'
                    ELSE coalesce(made."errorCode", job."errorCode"::text,
                                  nullif(job.status::text, 'completed'), 'not_made') END AS reason
        FROM public.photo_generation_credit_reservations AS held
        CROSS JOIN LATERAL unnest(held.open) AS image (index)
        LEFT JOIN public.photo_generation_queue AS job
               ON job.id = held."jobId"
              AND coalesce(held."jobUuid" = job."jobId", held."jobUuid" IS NULL)
        LEFT JOIN public.photo_generation_images AS made
               ON made."jobId" = job.id AND made.index = image.index
        WHERE held."jobId" = of_job
    ),
    entry AS (
        INSERT INTO public.photo_generation_credit_entries
            (tenant, kind, amount, "jobId", "jobUuid", round, index, reason)
        SELECT tenant, kind, each, "jobId", "jobUuid", round, index,
               CASE WHEN kind = 'refund' THEN reason END
        FROM verdict WHERE kind IS NOT NULL
    ),
    returned AS (
        INSERT INTO public.photo_generation_credit_returns (tenant, amount)
        SELECT tenant, sum(each) FROM verdict WHERE kind = 'refund'
        GROUP BY tenant HAVING sum(each) > 0
    ),
    rest AS MATERIALIZED (
        SELECT round, array_agg(index ORDER BY index) FILTER (WHERE kind IS NULL) AS open
        FROM verdict GROUP BY round HAVING count(kind) > 0
    ),
    shrunk AS (
        UPDATE public.photo_generation_credit_reservations AS held SET open = rest.open
        FROM rest
        WHERE held."jobId" = of_job AND held.round = rest.round AND rest.open IS NOT NULL
    )
    DELETE FROM public.photo_generation_credit_reservations AS held USING rest
    WHERE held."jobId" = of_job AND held.round = rest.round AND rest.open IS NULL;
END $$;

-- Settles up to so many jobs that have ended or are gone and left something to settle: by hands that
-- switched triggers off, or with an old snapshot. Returns how many. Two may run at once: a row that somebody
-- holds is passed by. Looks at all reservations, one per job that waits: 0.1 s for a hundred thousand.
CREATE OR REPLACE FUNCTION public.photo_generation_settle_left(most bigint) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    of_job  bigint;
    settled bigint := 0;
BEGIN
    FOR of_job IN
        SELECT DISTINCT held."jobId"
        FROM public.photo_generation_credit_reservations AS held
        LEFT JOIN public.photo_generation_queue AS job
               ON job.id = held."jobId"
              AND coalesce(held."jobUuid" = job."jobId", held."jobUuid" IS NULL)
        WHERE job.id IS NULL
           OR (job.status::text IN ('completed', 'failed', 'canceled')
               AND EXISTS (SELECT FROM unnest(held.open) AS image (index)
                           LEFT JOIN public.photo_generation_images AS made
                                  ON made."jobId" = held."jobId" AND made.index = image.index
                           WHERE made.state IS DISTINCT FROM 'calling'))
        LIMIT most
    LOOP
        PERFORM FROM public.photo_generation_queue WHERE id = of_job FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND
            AND EXISTS (SELECT FROM public.photo_generation_queue WHERE id = of_job);
        PERFORM public.photo_generation_settle(of_job);
        settled := settled + 1;
    END LOOP;
    RETURN settled;
END $$;

-- ---------------------------------------------------------------------------------- the app's refunds

-- Tells the app what to give back; NULL: it has taken it, else what it raised. Its function runs with the
-- rights of the schema's owner, whoever ended the job, and finds its tables in public. It waits for no
-- lock for long: a customer's row that an open transaction holds must not stall a finish, and what
-- fails is tried again.
CREATE OR REPLACE FUNCTION public.photo_generation_call_refund(
        job_id uuid, tenant text, images integer, credits bigint, reason text)
    RETURNS text LANGUAGE plpgsql SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    named CONSTANT text[] := regexp_match(
        (SELECT value FROM public.photo_generation_settings WHERE key = 'creditsRefundFunction'),
        '^(?:([A-Za-z_][A-Za-z0-9_]*)\.)?([A-Za-z_][A-Za-z0-9_]*)$');
BEGIN
    IF named IS NULL THEN
        RETURN 'CREDITS_REFUND_FUNCTION names no function';
    END IF;
    EXECUTE format('SELECT %I.%I($1, $2, $3, $4, $5)', coalesce(named[1], 'public'), named[2])
    USING job_id, tenant, images, credits, reason;
    SET CONSTRAINTS ALL IMMEDIATE;       -- else a deferred foreign key would fail the finish
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $$;

-- Tells the app of a job's images that it will not get, each at most once ever. Jobs that the ledger has
-- reserved for are the ledger's. Whoever calls it holds the job's row, or has deleted it.
CREATE OR REPLACE FUNCTION public.photo_generation_refund_images(
        of_job bigint, of_uuid uuid, of_tenant text, not_made integer[], price bigint, why text)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lost   integer[];
    refund bigint;
BEGIN
    IF EXISTS (SELECT FROM public.photo_generation_credit_entries
               WHERE "jobId" = of_job AND kind = 'reserve'
                 AND coalesce("jobUuid" = of_uuid, "jobUuid" IS NULL)) THEN
        RETURN;
    END IF;
    lost := ARRAY(
        SELECT image.index FROM unnest(not_made) AS image (index)
        WHERE NOT EXISTS (SELECT FROM public.photo_generation_credit_refunds AS former
                          WHERE former."jobId" = of_job
                            AND coalesce(former."jobUuid" = of_uuid, former."jobUuid" IS NULL)
                            AND image.index = ANY (former.images)));
    IF lost = '{}' THEN
        RETURN;
    END IF;
    INSERT INTO public.photo_generation_credit_refunds ("jobId", "jobUuid", tenant, images, credits, reason)
    VALUES (of_job, of_uuid, of_tenant, lost,
            least(price::numeric * cardinality(lost), 9223372036854775807), why)
    RETURNING id INTO refund;
    -- One that the app did not take is enough to wait for, in one transaction: the sweep tells the others.
    IF coalesce(current_setting('safelight.refund_failed', true), '') = '' THEN
        PERFORM public.photo_generation_try_refund(refund);
    END IF;
END $$;

-- The same of a job that has ended and is there; of any other nothing. What is still being called may yet
-- be stored.
CREATE OR REPLACE FUNCTION public.photo_generation_refund_job(of_job bigint) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.photo_generation_refund_images(
        job.id, job."jobId", public.photo_generation_tenant(job."teamId"::text, job."userId"::text),
        ARRAY(SELECT wanted.index
              FROM generate_series(1, public.photo_generation_payable(
                       job.type::text, job."numImagesPerExample"::numeric, job.payload::text))
                       AS wanted (index)
              WHERE NOT EXISTS (SELECT FROM public.photo_generation_images AS image
                                WHERE image."jobId" = job.id AND image.index = wanted.index
                                  AND image.state IN ('stored', 'calling'))),
        public.photo_generation_credit_price(
            public.photo_generation_type(job.type::text), job.model::text),
        coalesce(job."errorCode"::text,
                 (SELECT image."errorCode" FROM public.photo_generation_images AS image
                  WHERE image."jobId" = job.id AND image.state <> 'stored' AND image."errorCode" IS NOT NULL
                  ORDER BY image.index LIMIT 1),
                 nullif(job.status::text, 'completed'), 'not_made'))
    FROM public.photo_generation_queue AS job
    WHERE job.id = of_job
      AND (job.status::text IN ('failed', 'canceled')
           -- Without an image it was completed by another program.
           OR (job.status::text = 'completed' AND EXISTS (
               SELECT FROM public.photo_generation_images AS image
               WHERE image."jobId" = job.id AND image.state = 'stored')));
END $$;

-- Tries a refund that is noted and not done, once: any number of times it is given once. With the rights
-- of the schema's owner, as the triggers, so that the app's function always has the same.
CREATE OR REPLACE FUNCTION public.photo_generation_try_refund(refund_id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    refund  public.photo_generation_credit_refunds;
    problem text;
BEGIN
    SELECT * INTO refund FROM public.photo_generation_credit_refunds
    WHERE id = refund_id AND "tryAt" IS NOT NULL FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF refund.images IS NULL THEN
        -- Somebody ended a job with an old snapshot. It is looked at now, unless it is in other hands.
        PERFORM FROM public.photo_generation_queue WHERE id = refund."jobId" FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND OR NOT EXISTS (SELECT FROM public.photo_generation_queue WHERE id = refund."jobId") THEN
            DELETE FROM public.photo_generation_credit_refunds WHERE id = refund.id;
            PERFORM public.photo_generation_refund_job(refund."jobId");
        END IF;
        RETURN;
    END IF;
    problem := public.photo_generation_call_refund(
        refund."jobUuid", refund.tenant, cardinality(refund.images), refund.credits, refund.reason);
    IF problem IS NOT NULL THEN
        PERFORM set_config('safelight.refund_failed', 'yes', true);
    END IF;
    UPDATE public.photo_generation_credit_refunds
    SET tries = tries + 1, error = left(problem, 1000),
        "tryAt" = CASE WHEN problem IS NOT NULL
                       THEN now() + least(interval '5 seconds' * power(2, least(tries, 10)),
                                          interval '1 hour') END
    WHERE id = refund.id;
END $$;

-- ------------------------------------------------------------------------------------- both: the end

-- A job has ended, by whatever hands.
CREATE OR REPLACE FUNCTION public.photo_generation_credits_on_end() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_current CONSTANT boolean := current_setting('transaction_isolation') = 'read committed';
BEGIN
    IF is_current THEN
        PERFORM public.photo_generation_settle(NEW.id);
    END IF;
    IF public.photo_generation_credits_mode() = 'app' THEN
        IF is_current THEN
            PERFORM public.photo_generation_refund_job(NEW.id);
        ELSE
            INSERT INTO public.photo_generation_credit_refunds ("jobId", "jobUuid", tenant)
            VALUES (NEW.id, NEW."jobId",
                    public.photo_generation_tenant(NEW."teamId"::text, NEW."userId"::text));
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_credits_on_end
    AFTER UPDATE ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (NEW.status IN ('completed', 'failed', 'canceled')
          AND OLD.status NOT IN ('completed', 'failed', 'canceled'))
    EXECUTE FUNCTION public.photo_generation_credits_on_end();

-- The call of an image has ended without a picture: if its job had ended before, this is its end.
CREATE OR REPLACE FUNCTION public.photo_generation_credits_on_late() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM public.photo_generation_queue
               WHERE id = NEW."jobId" AND status::text IN ('completed', 'failed', 'canceled')) THEN
        PERFORM public.photo_generation_settle(NEW."jobId");
        IF public.photo_generation_credits_mode() = 'app' THEN
            PERFORM public.photo_generation_refund_job(NEW."jobId");
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_credits_on_late
    AFTER UPDATE OF state ON public.photo_generation_images
    FOR EACH ROW WHEN (OLD.state = 'calling' AND NEW.state NOT IN ('calling', 'stored'))
    EXECUTE FUNCTION public.photo_generation_credits_on_late();

-- A job is gone, and its images with it: nothing of it can come any more. In the app's mode the ledger of
-- calls tells which were stored; of a job that had ended all is told but what was being called.
CREATE OR REPLACE FUNCTION public.photo_generation_credits_on_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_told boolean := OLD.status IN ('completed', 'failed', 'canceled');
BEGIN
    PERFORM public.photo_generation_settle(OLD.id);
    IF public.photo_generation_credits_mode() = 'app' THEN
        -- Its end was only noted, by somebody with an old snapshot.
        DELETE FROM public.photo_generation_credit_refunds
        WHERE "jobId" = OLD.id AND images IS NULL
          AND coalesce("jobUuid" = OLD."jobId", "jobUuid" IS NULL);
        is_told := is_told AND NOT FOUND;
        PERFORM public.photo_generation_refund_images(
            OLD.id, OLD."jobId", public.photo_generation_tenant(OLD."teamId"::text, OLD."userId"::text),
            CASE WHEN is_told
                 THEN ARRAY(SELECT DISTINCT call.index FROM public.photo_generation_calls AS call
                            WHERE call."jobId" = OLD.id AND call."jobUuid" = OLD."jobId"
                              AND call.state = 'calling' AND call.index IS NOT NULL)
                 ELSE ARRAY(SELECT wanted.index
                            FROM generate_series(1, public.photo_generation_payable(
                                     OLD.type::text, OLD."numImagesPerExample"::numeric, OLD.payload::text))
                                     AS wanted (index)
                            WHERE NOT EXISTS (SELECT FROM public.photo_generation_calls AS call
                                              WHERE call."jobId" = OLD.id AND call."jobUuid" = OLD."jobId"
                                                AND call.index = wanted.index AND call.state = 'stored')) END,
            public.photo_generation_credit_price(
                public.photo_generation_type(OLD.type::text), OLD.model::text),
            'deleted');
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_credits_on_delete
    AFTER DELETE ON public.photo_generation_queue
    FOR EACH ROW EXECUTE FUNCTION public.photo_generation_credits_on_delete();
