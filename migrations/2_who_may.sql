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
                      'again', 'batch_status', 'born_final', 'budget', 'busy', 'call', 'call_hook',
                      'call_refund', 'called', 'cap', 'capture', 'charge', 'check_batch', 'claim', 'cost',
                      'count_alone', 'count_images', 'credit_price', 'credit_round', 'credits_again',
                      'credits_mode', 'credits_on_delete', 'credits_on_end', 'credits_on_late',
                      'default_model', 'drawn_late', 'due', 'expected', 'fence', 'find_arrivals',
                      'first_per_minute', 'forget_shares', 'grant_credits', 'host', 'image_stored',
                      'images_left', 'inserted', 'kinds', 'list_price',
                      'lock_claims', 'model_of_tryon', 'name_model', 'next', 'next_due', 'next_quota_day',
                      'number', 'on_image', 'pace', 'pauses_of', 'payable', 'prices_of', 'prompt',
                      'provider', 'quota_day', 'quota_window', 'refund_images', 'refund_job',
                      'refuse_credits', 'reserve', 'rest_shares', 'roll_total', 'settle', 'settle_left',
                      'spend_day', 'spend_limit', 'spent_today', 'standing', 'status', 'step_garment',
                      'steps_again', 'take_credits', 'take_garment', 'take_notes', 'tell', 'today',
                      'totals_due', 'try_refund', 'tryons_named', 'waiting', 'waits_again', 'wake', 'wanted', 'weight']) AS name))
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, %I', ours, role_name);
        END LOOP;
    END LOOP;
END $$;
