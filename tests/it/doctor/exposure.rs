//! What anybody could do over Supabase's API is closed by what is printed.

use super::{check_mended, examine, follow, healthy};

#[tokio::test]
async fn what_is_open_to_anybody_is_told_with_what_closes_it() {
    let stage = healthy().await;
    for (harm, level, seen) in [
        (
            "GRANT SELECT ON photo_generation_calls TO anon",
            "fail",
            "photo_generation_calls is the worker's, and granted away (anon: SELECT)",
        ),
        (
            "GRANT INSERT ON photo_generation_workers TO PUBLIC",
            "fail",
            "(anon: INSERT; authenticated: INSERT)",
        ),
        (
            "GRANT SELECT (key) ON photo_generation_settings TO authenticated",
            "fail",
            "photo_generation_settings is the worker's, and granted away (authenticated: SELECT)",
        ),
        (
            "GRANT ALL ON photo_generation_limits TO anon; ALTER TABLE photo_generation_limits DISABLE ROW LEVEL SECURITY",
            "fail",
            "photo_generation_limits is open to anybody (anon: SELECT, INSERT, UPDATE, DELETE, TRUNCATE)",
        ),
        (
            "ALTER TABLE photo_generation_images DISABLE ROW LEVEL SECURITY",
            "warn",
            "photo_generation_images has no row level security",
        ),
        (
            "GRANT INSERT ON photo_generation_queue TO anon; ALTER TABLE photo_generation_queue DISABLE ROW LEVEL SECURITY",
            "fail",
            "who may insert spends your money",
        ),
        (
            "GRANT EXECUTE ON FUNCTION photo_generation_on_image TO PUBLIC",
            "fail",
            "may call public.photo_generation_on_image(",
        ),
        (
            "GRANT EXECUTE ON FUNCTION photo_generation_call_hook TO anon",
            "fail",
            "may call public.photo_generation_call_hook(",
        ),
        (
            "CREATE FUNCTION photo_generation_spend(cents integer) RETURNS void
             LANGUAGE sql SECURITY DEFINER AS ''",
            "fail",
            "may call public.photo_generation_spend(cents integer)",
        ),
    ] {
        check_mended(&stage, harm, "exposure", level, seen).await;
    }
}

#[tokio::test]
async fn an_apps_own_table_with_policies_and_harmless_functions_are_fine() {
    let stage = healthy().await;
    stage
        .sql(
            r#"GRANT SELECT, INSERT ON photo_generation_queue TO authenticated;
               CREATE POLICY own_jobs ON photo_generation_queue TO authenticated USING ("userId" = '7');
               CREATE FUNCTION photo_generation_harmless() RETURNS integer LANGUAGE sql AS 'SELECT 1';
               GRANT EXECUTE ON FUNCTION photo_generation_harmless TO PUBLIC"#,
        )
        .await;

    let report = examine(&stage, &[]).await;

    report.assert_is("exposure", "ok", "nothing is open to anon, authenticated");
}

#[tokio::test]
async fn several_things_that_are_open_have_a_line_each() {
    let stage = healthy().await;
    stage
        .sql("GRANT SELECT ON photo_generation_calls, photo_generation_images TO anon")
        .await;

    let report = examine(&stage, &[]).await;
    report.assert_fails_only(&["exposure"]);
    assert_eq!(report.lines("exposure").len(), 2);
    follow(&stage, &report, "exposure").await;

    examine(&stage, &[]).await.assert_is("exposure", "ok", "");
}
