-- Who may call the functions.
--
-- Functions are executable by everybody unless told otherwise, and Supabase serves executable
-- functions over HTTP. Triggers need no such right. Indexes do: they call theirs with the rights of
-- whoever inserts, in a database that may have taken that right from everybody. By name, since an app
-- has functions of its own that begin as ours do.
DO $$
DECLARE
    ours regprocedure;
    role_name text;
BEGIN
    GRANT EXECUTE ON FUNCTION public.photo_generation_model(text),
        public.photo_generation_type(text),
        public.photo_generation_tenant(text, text),
        public.photo_generation_place(timestamptz, text),
        public.photo_generation_place(timestamp, text) TO PUBLIC;
    REVOKE ALL ON FUNCTION public.photo_generation_on_image(public.photo_generation_images) FROM PUBLIC;
    REVOKE ALL ON FUNCTION public.photo_generation_call_hook(public.photo_generation_images) FROM PUBLIC;
    FOR role_name IN SELECT rolname FROM pg_catalog.pg_roles
                     WHERE rolname IN ('anon', 'authenticated') LOOP
        FOR ours IN
            SELECT oid FROM pg_catalog.pg_proc
            WHERE pronamespace = 'public'::regnamespace
              AND proname = ANY (ARRAY(
                  SELECT 'photo_generation_' || name FROM unnest(ARRAY[
                      'again', 'batch_status', 'born_final', 'budget', 'busy', 'call', 'called',
                      'call_hook', 'cap', 'charge', 'check_batch', 'claim', 'count_alone',
                      'count_images',
                      'default_model', 'due', 'expected', 'fence', 'find_arrivals', 'image_stored',
                      'forget_shares', 'images_left', 'inserted', 'kinds', 'list_price',
                      'lock_claims', 'name_model', 'next', 'next_due', 'next_quota_day', 'number',
                      'on_image', 'pace', 'pauses_of', 'provider', 'quota_day', 'quota_window',
                      'rest_shares', 'roll_total',
                      'spend_day', 'spend_limit', 'spent_today', 'standing', 'status', 'step_garment',
                      'steps_again', 'model_of_tryon', 'take_garment', 'take_notes',
                      'today', 'totals_due', 'waiting', 'waits_again', 'wake', 'wanted', 'weight']) AS name))
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, %I', ours, role_name);
        END LOOP;
    END LOOP;
END $$;
