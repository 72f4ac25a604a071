//! What stands before the database is found out, whatever its port says.

use super::{examine, healthy};
use crate::harness::{Pooler, server_url};

#[tokio::test]
async fn a_transaction_pooler_is_known_by_what_it_does() {
    let stage = healthy().await;
    let pooler = Pooler::before(&stage.url).await;
    let unmarked = pooler.url.replace("?pgbouncer=true", "");
    let by = async |url: &str, listen: Option<&str>| {
        let mut arguments = vec!["--database-url", url];
        arguments.extend(listen.map(|_| "--database-listen-url"));
        arguments.extend(listen);
        examine(&stage, &arguments).await
    };

    let report = by(&pooler.url, Some(&stage.url)).await;
    report.assert_fails_only(&[]);
    report.assert_is("pooler", "ok", "in transaction mode");
    report.assert_is("listen", "ok", "came through");

    let report = by(&pooler.url, None).await;
    report.assert_fails_only(&[]);
    report.assert_is("pooler", "warn", "found by polling");
    report
        .line("pooler")
        .assert_says("export DATABASE_LISTEN_URL=postgres://");
    report.assert_is("listen", "skip", "not checked");

    // Everything behind the pooler is looked at all the same.
    let report = by(&unmarked, None).await;
    report.assert_fails_only(&["pooler"]);
    report.assert_is("pooler", "fail", "taken for a direct address");
    report.line("pooler").assert_says("?pgbouncer=true'");
    report.assert_is("rights", "ok", "");

    let report = by(&pooler.url, Some(&unmarked)).await;
    report.assert_fails_only(&["listen"]);
    report.assert_is("listen", "fail", "is a transaction-mode pooler, too");
}

#[tokio::test]
async fn a_direct_address_that_is_called_a_pooler_is_seen() {
    let stage = healthy().await;
    let marked = format!("{}?pgbouncer=true", stage.url);

    let report = examine(&stage, &["--database-url", &marked]).await;

    report.assert_fails_only(&[]);
    report.assert_is("pooler", "warn", "in session mode or none");
    report.line("pooler").assert_says("Take pgbouncer=true out");
}

#[tokio::test]
async fn an_address_for_wake_ups_that_leads_elsewhere_is_seen() {
    let stage = healthy().await;
    for (elsewhere, seen) in [
        (server_url(), "no notification came through"),
        (
            "postgres://a@127.0.0.1:9/x".to_owned(),
            "connection refused",
        ),
        ("localhost".to_owned(), "not a Postgres address"),
    ] {
        let report = examine(&stage, &["--database-listen-url", &elsewhere]).await;

        report.assert_fails_only(&["listen"]);
        report.assert_is("listen", "fail", seen);
        let told = format!("{:?}", report.line("listen"));
        assert!(told.contains("DATABASE_LISTEN_URL"), "{told}");
    }
}
