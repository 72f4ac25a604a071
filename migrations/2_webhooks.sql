-- Messages to apps: written by a trigger in the transaction that ends a job, whoever ends it.
--
-- A row without "webhookUrl" costs nothing, and an insert never does. What a receiver is told is the state;
-- what is left to be fetched it fetches with the jobId. Images are named as "imageUrls" names them, by
-- public URL or by key in the bucket, since a signed URL would have ended before the last try. Below 20 kB,
-- as Standard Webhooks advises: metadata and images that are more are left out, and "truncated" says so. No
-- job is kept from its end by what cannot be said of it, such as an app's own column that does not fit.

-- The host of a URL, and its port unless that is the usual one, as messages are counted by it: however it
-- is written, a receiver is one. Who finds a spelling that is missing here still has no more than the share
-- of its tenant. Cut, because an index refuses a row whose text is long.
CREATE OR REPLACE FUNCTION public.photo_generation_host(url text)
    RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT left(coalesce(concat_ws(':',
           rtrim(regexp_replace(authority, ':[0-9]*$', ''), '.'),
           nullif(nullif(substring(authority FROM ':0*([0-9]*)$'), ''), '443')), ''), 300)
FROM lower(substring(url FROM '^[A-Za-z]+://(?:[^/?#@]*@)?([^/?#]*)')) AS authority
$$;

CREATE OR REPLACE FUNCTION public.photo_generation_tell() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    most    CONSTANT integer := 20000;
    event   CONSTANT text := 'job.' || NEW.status::text;
    images  jsonb;
    stored  bigint;
    total   bigint;
    message jsonb;
BEGIN
    BEGIN
        SELECT jsonb_agg(jsonb_build_object(
                   'id', format('%s-%s', image."jobId", image.index), 'index', image.index,
                   'state', image.state,
                   'url', CASE WHEN image.state = 'stored' THEN coalesce(image.url, image."storageKey") END,
                   'mimeType', image."mimeType", 'bytes', image.bytes,
                   'width', image.width, 'height', image.height,
                   'error', CASE WHEN image.state <> 'stored' THEN left(image.error, 500) END)
                   ORDER BY image.index),
               count(*) FILTER (WHERE image.state = 'stored')
        INTO images, stored FROM public.photo_generation_images AS image WHERE image."jobId" = NEW.id;
        total := greatest(coalesce(NEW."imagesTotal", NEW."numImagesPerExample", 4), stored, 1);
        message := jsonb_build_object(
            'type', event,
            'timestamp', now(),
            'data', jsonb_build_object(
                'jobId', NEW."jobId", 'id', NEW.id,
                'type', coalesce(NEW.type::text, 'photo_generation'), 'status', NEW.status::text,
                'teamId', NEW."teamId"::text, 'userId', NEW."userId"::text, 'batchId', NEW."batchId",
                'error', left(NEW."errorMessage"::text, 1000),
                'errorCode', left(NEW."errorCode"::text, 100),
                'progress', jsonb_build_object(
                    'current', stored, 'total', total, 'percent', stored * 100 / total),
                'images', coalesce(images, '[]'), 'metadata', NEW.metadata::jsonb));
        IF octet_length(message::text) > most THEN
            message := jsonb_set(message, '{data,metadata}', 'null') || '{"truncated": true}';
        END IF;
        IF octet_length(message::text) > most THEN
            message := jsonb_set(message, '{data,images}', 'null');
        END IF;
    EXCEPTION WHEN OTHERS THEN
        message := jsonb_build_object(
            'type', event, 'timestamp', now(), 'truncated', true,
            'data', jsonb_build_object('jobId', NEW."jobId", 'id', NEW.id, 'status', NEW.status::text));
    END;
    INSERT INTO public.photo_generation_webhooks ("jobId", event, url, tenant, host, body, ready)
    VALUES (NEW.id, event, NEW."webhookUrl",
            public.photo_generation_tenant(NEW."teamId"::text, NEW."userId"::text),
            public.photo_generation_host(NEW."webhookUrl"), message::text, true);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER photo_generation_tell
    AFTER UPDATE ON public.photo_generation_queue
    FOR EACH ROW
    WHEN (NEW."webhookUrl" <> ''
          AND NEW.status IN ('completed', 'failed', 'canceled') AND OLD.status <> NEW.status)
    EXECUTE FUNCTION public.photo_generation_tell();
