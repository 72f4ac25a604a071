-- Paid calls of a job that make no image of its own: the steps of a try-on.
--
-- A step takes the way of an image: planned, a call on record, settled once. What differs is where its
-- result goes, and that several jobs may want the same one.

-- Who makes a garment, asked for a step that wants it. Each query has a snapshot of its own: what is
-- looked at after the lock on the garment is what is there. Locks: job, then garment.
--   verdict   lost | ready (the step has it now) | mine (to be made by this step) | busy
CREATE OR REPLACE FUNCTION public.photo_generation_take_garment(
        job_id bigint, job_lease bigint, step_name text, of_tenant text, wanted text)
    RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found_one public.photo_generation_garments;
    verdict   text := 'mine';
BEGIN
    PERFORM FROM public.photo_generation_queue
    WHERE id = job_id AND lease = job_lease AND status = 'processing'
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'lost';
    END IF;
    INSERT INTO public.photo_generation_garments (garment, tenant, "jobId", lease)
    VALUES (wanted, of_tenant, job_id, job_lease) ON CONFLICT DO NOTHING;
    SELECT * INTO found_one FROM public.photo_generation_garments AS g
    WHERE g.garment = wanted FOR NO KEY UPDATE;
    IF found_one."storageKey" IS NOT NULL THEN
        verdict := 'ready';
    ELSIF found_one."jobId" <> job_id
          AND EXISTS (
              SELECT FROM public.photo_generation_queue AS other
              WHERE other.id = found_one."jobId"
                AND ((other.lease = found_one.lease AND other.status = 'processing')
                     -- Its worker may be dead, and the picture bought. Of a job that has ended the call is
                     -- aborted, and nobody takes its picture in.
                     OR (other.status IN ('pending', 'processing', 'rate_limited')
                         AND EXISTS (SELECT FROM public.photo_generation_calls AS call
                                     WHERE call.id = found_one."callId" AND call.state = 'calling')))) THEN
        RETURN 'busy';
    ELSE
        UPDATE public.photo_generation_garments AS g
        SET "jobId" = job_id, lease = job_lease, "callId" = NULL WHERE g.garment = wanted;
    END IF;
    UPDATE public.photo_generation_steps AS s
    SET garment = wanted,
        state = CASE verdict WHEN 'ready' THEN 'stored' ELSE s.state END,
        "storageKey" = found_one."storageKey", "updatedAt" = now()
    WHERE s."jobId" = job_id AND s.step = step_name AND s.state = 'planned';
    RETURN verdict;
END $$;

-- A step that makes a garment is called, or has made it: so everybody knows.
CREATE OR REPLACE FUNCTION public.photo_generation_step_garment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.photo_generation_garments
    SET "callId" = NEW."callId",
        "storageKey" = CASE NEW.state WHEN 'stored' THEN NEW."storageKey" ELSE "storageKey" END
    WHERE garment = NEW.garment AND "jobId" = NEW."jobId" AND "storageKey" IS NULL;
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
-- insert of an app is never refused: a model that does not fit the app's own column is left out.
CREATE OR REPLACE FUNCTION public.photo_generation_model_of_tryon() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(nullif(NEW.provider::text, ''),
                (SELECT value FROM public.photo_generation_settings WHERE key = 'defaultProvider'),
                'gemini') = 'gemini' THEN
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
