-- Paid calls of a job that make no image of its own: the steps of a try-on.
--
-- A step takes the way of an image: planned, a call on record, settled once. What differs is where its
-- result goes, and that several jobs may want the same one.

-- Who makes a garment, asked for a step that wants it. Each query has a snapshot of its own: what is
-- looked at after the lock on the garment is what is there. Locks: job, then garment.
--   verdict   lost | ready (the step has it now) | refused (the step is that, too) | mine (to be made by
--             this step) | busy | kept (bought, and in a spool)
CREATE OR REPLACE FUNCTION public.photo_generation_take_garment(
        job_id bigint, job_lease bigint, step_name text, of_tenant text, wanted text)
    RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found_one public.photo_generation_garments;
    last_call public.photo_generation_calls;
    verdict   text := 'mine';
BEGIN
    PERFORM FROM public.photo_generation_queue
    WHERE id = job_id AND lease = job_lease AND status = 'processing'
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    LOOP
        INSERT INTO public.photo_generation_garments (garment, tenant, "jobId", lease)
        VALUES (wanted, of_tenant, job_id, job_lease) ON CONFLICT DO NOTHING;
        SELECT * INTO found_one FROM public.photo_generation_garments AS g
        WHERE g.garment = wanted FOR NO KEY UPDATE;
        -- Else a hand has deleted it in between.
        EXIT WHEN FOUND;
    END LOOP;
    SELECT * INTO last_call FROM public.photo_generation_calls AS call WHERE call.id = found_one."callId";
    IF found_one."storageKey" IS NOT NULL THEN
        verdict := 'ready';
    ELSIF found_one."jobId" <> job_id THEN
        IF last_call.state = 'calling' AND last_call.spool IS NOT NULL THEN
            -- Bought, whatever has become of its job: it comes with the storage.
            RETURN 'kept';
        ELSIF EXISTS (
                SELECT FROM public.photo_generation_queue AS other
                WHERE other.id = found_one."jobId"
                  AND ((other.lease = found_one.lease AND other.status = 'processing'
                        -- While its maker draws what it could not cut out, another may try.
                        AND EXISTS (SELECT FROM public.photo_generation_steps AS making
                                    WHERE making."jobId" = other.id AND making.garment = wanted
                                      AND making.state IN ('planned', 'calling')))
                       -- Its worker may be dead, and the picture bought. Of a job that has ended the call is
                       -- aborted, and nobody takes its picture in.
                       OR (other.status IN ('pending', 'processing', 'rate_limited')
                           AND last_call.state = 'calling'))) THEN
            RETURN 'busy';
        ELSIF last_call.state = 'refused' AND last_call."endedAt" > now() - interval '10 minutes' THEN
            -- All that want it at about the same time would pay for the same answer, one after the other.
            verdict := 'refused';
        END IF;
    END IF;
    IF verdict = 'mine' THEN
        UPDATE public.photo_generation_garments AS g
        SET "jobId" = job_id, lease = job_lease, "callId" = NULL WHERE g.garment = wanted;
    END IF;
    UPDATE public.photo_generation_steps AS s
    SET garment = wanted,
        state = CASE verdict WHEN 'ready' THEN 'stored' WHEN 'refused' THEN 'refused' ELSE s.state END,
        error = CASE verdict WHEN 'refused' THEN last_call.error ELSE s.error END,
        "errorCode" = CASE verdict WHEN 'refused' THEN last_call."errorCode" ELSE s."errorCode" END,
        "storageKey" = found_one."storageKey", "updatedAt" = now()
    WHERE s."jobId" = job_id AND s.step = step_name AND s.state = 'planned';
    RETURN verdict;
END $$;

-- A step that makes a garment is called, or has made it: so everybody knows. What is made counts, whoever
-- was to make it by then, and where a hand has deleted the row meanwhile.
CREATE OR REPLACE FUNCTION public.photo_generation_step_garment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state = 'calling' THEN
        UPDATE public.photo_generation_garments SET "callId" = NEW."callId"
        WHERE garment = NEW.garment AND "jobId" = NEW."jobId" AND "storageKey" IS NULL;
    ELSE
        -- No call: it was taken from there.
        INSERT INTO public.photo_generation_garments AS made
            (garment, tenant, "jobId", lease, "callId", "storageKey")
        SELECT NEW.garment, call.tenant, NEW."jobId", call.lease, call.id, NEW."storageKey"
        FROM public.photo_generation_calls AS call WHERE call.id = NEW."callId"
        ON CONFLICT (garment) DO UPDATE
        SET "callId" = EXCLUDED."callId", "storageKey" = EXCLUDED."storageKey"
        WHERE made."storageKey" IS NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_step_garment
    AFTER UPDATE OF state ON public.photo_generation_steps
    FOR EACH ROW
    WHEN (NEW.garment IS NOT NULL AND NEW.state IN ('calling', 'stored') AND OLD.state <> NEW.state)
    EXECUTE FUNCTION public.photo_generation_step_garment();

-- The second drawing of a try-on that comes when the image has the first one is nobody's.
CREATE OR REPLACE FUNCTION public.photo_generation_drawn_late() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.photo_generation_removals ("storageKey")
    SELECT NEW."storageKey" FROM public.photo_generation_images AS image
    WHERE image."jobId" = NEW."jobId" AND image.index = 1 AND image.state = 'stored'
      AND image."storageKey" <> NEW."storageKey"
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_drawn_late
    AFTER UPDATE OF state ON public.photo_generation_steps
    FOR EACH ROW
    WHEN (NEW.step = 'redraw' AND NEW.state = 'stored' AND OLD.state <> 'stored')
    EXECUTE FUNCTION public.photo_generation_drawn_late();

-- A finished row set back to pending: what its steps have found stays, as its images do.
CREATE OR REPLACE FUNCTION public.photo_generation_steps_again() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.photo_generation_steps
    SET state = CASE WHEN state = 'calling' THEN state ELSE 'planned' END,
        ambiguous = 0, error = NULL, "errorCode" = NULL, "updatedAt" = now()
    WHERE "jobId" = NEW.id AND state <> 'stored';
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_steps_again
    AFTER UPDATE OF status ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'canceled') AND NEW.status = 'pending')
    EXECUTE FUNCTION public.photo_generation_steps_again();

-- A try-on is drawn by the large model, unless its row or the fleet's default provider says otherwise. An
-- insert of an app is never refused: a model that does not fit the app's own column is left out. As long
-- as no default provider is recorded, nobody can say: the row is given its model when one is.
CREATE OR REPLACE FUNCTION public.photo_generation_model_of_tryon() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(nullif(NEW.provider::text, ''),
                (SELECT value FROM public.photo_generation_settings WHERE key = 'defaultProvider')) = 'gemini' THEN
        NEW.model := 'gemini-3-pro-image-preview';
    END IF;
    RETURN NEW;
EXCEPTION WHEN OTHERS THEN
    NEW.model := NULL;
    RETURN NEW;
END $$;
-- Named so that it comes before photo_generation_name_model: triggers go by their names.
CREATE OR REPLACE TRIGGER photo_generation_model_of_tryon
    BEFORE INSERT ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (NEW.type::text = 'tryon' AND coalesce(NEW.model::text, '') = ''
          AND NEW.status IN ('pending', 'rate_limited'))
    EXECUTE FUNCTION public.photo_generation_model_of_tryon();

-- The first worker, or migrate, has recorded the default provider: try-ons that came before that and name
-- nobody. A start is never refused for their sake; a row that somebody holds keeps the default model.
CREATE OR REPLACE FUNCTION public.photo_generation_tryons_named() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.photo_generation_queue SET model = 'gemini-3-pro-image-preview'
    WHERE id = ANY (ARRAY(
        SELECT id FROM public.photo_generation_queue
        WHERE type::text = 'tryon' AND coalesce(model::text, '') = '' AND coalesce(provider::text, '') = ''
          AND status IN ('pending', 'rate_limited')
        FOR NO KEY UPDATE SKIP LOCKED));
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_tryons_named
    AFTER INSERT ON public.photo_generation_settings
    FOR EACH ROW
    WHEN (NEW.key = 'defaultProvider' AND NEW.value = 'gemini')
    EXECUTE FUNCTION public.photo_generation_tryons_named();
