//! A role that is not the owner: the SQL that is printed makes it one that can work.

use super::{examine, follow, healthy};
use crate::harness::Stage;

/// The stage's database as somebody else.
fn url_of(stage: &Stage, role: &str) -> String {
    let mut url = url::Url::parse(&stage.url).unwrap();
    url.set_username(role).unwrap();
    url.into()
}

#[tokio::test]
async fn a_role_of_no_rights_gets_what_a_worker_needs_and_no_more_is_needed() {
    let stage = healthy().await;
    let role = format!("doctor_{}", uuid::Uuid::new_v4().simple());
    stage
        .sql(&format!(
            "REVOKE USAGE ON SCHEMA public FROM PUBLIC; CREATE ROLE {role} LOGIN"
        ))
        .await;
    let url = url_of(&stage, &role);
    let as_role = ["--database-url", &url];

    let report = examine(&stage, &as_role).await;
    report.assert_fails_only(&["rights"]);
    report.assert_is("schema", "skip", "see rights");
    let lines = report.lines("rights");
    assert!(lines[0].seen.contains("may not do all"), "{lines:#?}");
    assert!(lines[1].seen.contains("hides rows"), "{lines:#?}");
    follow(&stage, &report, "rights").await;

    let report = examine(&stage, &as_role).await;
    report.assert_fails_only(&[]);
    report.assert_is("rights", "ok", &role);
    report.assert_is("schema", "ok", "version");
    let job = stage.job("a lake", 2).await;
    let worker = stage.process_at(&url, &["--drain"]);
    assert_eq!(worker.exit_code().await, Some(0));
    assert_eq!(
        stage.status(job).await,
        "completed",
        "{}",
        stage.dump().await
    );
    stage
        .sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

#[tokio::test]
async fn an_owner_who_is_bound_by_policies_sees_no_jobs_and_is_told() {
    let stage = healthy().await;
    let role = format!("doctor_{}", uuid::Uuid::new_v4().simple());
    stage
        .sql(&format!(
            "CREATE ROLE {role} LOGIN;
             GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
             GRANT ALL ON ALL FUNCTIONS IN SCHEMA public TO {role};
             ALTER TABLE photo_generation_queue OWNER TO {role};
             ALTER TABLE photo_generation_queue FORCE ROW LEVEL SECURITY"
        ))
        .await;
    let url = url_of(&stage, &role);

    let report = examine(&stage, &["--database-url", &url]).await;
    report.assert_fails_only(&["rights"]);
    report.assert_is("rights", "fail", "finds no jobs");
    for name in ["settings", "limits", "pauses", "workers"] {
        report.assert_is(name, "skip", "not checked");
    }
    follow(&stage, &report, "rights").await;

    let report = examine(&stage, &["--database-url", &url]).await;
    report.assert_fails_only(&[]);
    stage
        .sql(&format!(
            "ALTER TABLE photo_generation_queue OWNER TO postgres; DROP OWNED BY {role}; DROP ROLE {role}"
        ))
        .await;
}

#[tokio::test]
async fn tables_that_are_not_on_the_search_path_are_seen() {
    let stage = healthy().await;
    let name = stage.text("SELECT current_database()").await;

    super::check_mended(
        &stage,
        &format!("ALTER DATABASE {name} SET search_path = pg_catalog"),
        "schema",
        "fail",
        "search_path",
    )
    .await;
}
