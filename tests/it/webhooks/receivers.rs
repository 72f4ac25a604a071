//! Receivers that are away, slow, moved, or where they should not be.

use std::collections::{BTreeMap, BTreeSet};

use safelight::db::webhooks::{self, Message, Parties, Room};

use crate::harness::{Receiver, Reply, Stage};

/// So many messages a worker sends to one host at a time.
const TO_A_HOST: usize = 4;
/// What a worker has that sends nothing yet.
const ROOM: Room = Room {
    free: 32,
    of_a_host: 4,
    of_a_tenant: 8,
};

/// How many of them go where, or are whose.
fn by(of: fn(Parties) -> String, messages: &[Message]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts.entry(of(message.parties())).or_default() += 1;
    }
    counts
}

impl Stage {
    /// Three thousand messages that have been ready for an hour, and one of user 2 that is ready now.
    async fn a_crowd_and_one(&self, tenant: &str, host: &str, honest: &str) {
        self.sql(&format!(
            r#"INSERT INTO photo_generation_webhooks
                   ("jobId", event, url, tenant, host, body, "tryAt", ready)
               SELECT n, 'job.failed', 'https://a.example/', {tenant}, {host}, '{{}}',
                      now() - interval '1 hour', true
               FROM generate_series(1, 3000) AS n
               UNION ALL
               SELECT 0, 'job.failed', 'https://a.example/', 'user:2', '{honest}', '{{}}', now(), true"#
        ))
        .await;
    }
}

/// Waits until the one message stands so, and says how.
async fn until_tried(stage: &Stage) -> String {
    stage
        .until("SELECT bool_and(error IS NOT NULL) FROM photo_generation_webhooks")
        .await;
    stage.messages().await
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone() {
    let stage = Stage::new().await;
    let receiver = Receiver::that(|_| Reply::Status(410)).await;
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;

    stage.job_that_tells("a lake", &receiver.url()).await;

    assert_eq!(
        until_tried(&stage).await,
        "job.completed tries 1 410 given up The receiver answered 410: it wants no messages any more."
    );
    assert_eq!(receiver.got().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let stage = Stage::new().await;
    let receiver = Receiver::that(|_| Reply::Redirect).await;
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;

    stage.job_that_tells("a lake", &receiver.url()).await;

    let told = until_tried(&stage).await;
    assert!(
        told.starts_with("job.completed tries 1 307 waits The receiver answered 307"),
        "{told}"
    );
    assert_eq!(receiver.got().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn after_the_tenth_try_in_vain_it_is_given_up() {
    let stage = Stage::new().await;
    let receiver = Receiver::that(|_| Reply::Status(503)).await;
    stage.job_that_tells("a lake", &receiver.url()).await;
    stage
        .sql(
            "UPDATE photo_generation_queue SET status = 'canceled';
             UPDATE photo_generation_webhooks SET tries = 9",
        )
        .await;

    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;

    assert_eq!(
        until_tried(&stage).await,
        "job.canceled tries 10 503 given up The receiver answered 503 Service Unavailable."
    );
    worker.stop().await;
}

#[tokio::test]
async fn machines_inside_are_not_reached_and_nothing_is_told_of_them() {
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    let port = receiver.address.rsplit(':').next().unwrap();
    for url in [
        receiver.url(),
        format!("https://127.0.0.1:{port}/hook"),
        "https://169.254.169.254/latest/meta-data?key=s3cret".to_owned(),
        "https://[::ffff:10.0.0.1]/".to_owned(),
        "https://localhost/".to_owned(),
        "https://user:s3cret@a.example/".to_owned(),
        "no url".to_owned(),
    ] {
        stage.job_that_tells("a lake", &url).await;
    }
    // A name is only known to lead nowhere, or inside, when it is looked up: that may change.
    stage
        .job_that_tells("a lake", "https://does-not-exist.invalid/?key=s3cret")
        .await;

    let worker = stage.worker_that_tells(&[], |_| {}).await;
    let told = {
        stage
            .until(
                "SELECT count(*) = 8 AND bool_and(error IS NOT NULL) FROM photo_generation_webhooks",
            )
            .await;
        stage.messages().await
    };

    assert_eq!(told.matches("given up Its URL ").count(), 7, "{told}");
    let unreachable = "tries 1 waits The receiver could not be reached.";
    assert_eq!(told.matches(unreachable).count(), 1, "{told}");
    for secret in ["s3cret", "127.0", "169.254", "10.0", "invalid"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert_eq!(receiver.got().len(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_slow_receiver_delays_neither_jobs_nor_other_receivers() {
    let stage = Stage::new().await;
    let slow = Receiver::that(|_| Reply::Never).await;
    let quick = Receiver::start().await;
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_webhooks ("jobId", event, url, host, body, "tryAt")
               SELECT n, 'job.failed', '{}', '{}', '{{}}', now() - interval '1 hour'
               FROM generate_series(1, 500) AS n"#,
            slow.url(),
            slow.address
        ))
        .await;
    let worker = stage.worker_that_tells(&[&slow, &quick], |_| {}).await;
    slow.until(TO_A_HOST).await;

    for _ in 0..10 {
        stage.job_that_tells("a lake", &quick.url()).await;
    }
    quick.until(10).await;
    stage.until_all_ended().await;

    let begun = slow.got().len();
    let given_up = stage
        .number("SELECT count(error) FROM photo_generation_webhooks")
        .await;
    let under_way = begun.saturating_sub(usize::try_from(given_up).unwrap());
    assert!(under_way <= TO_A_HOST, "{begun} begun, {given_up} ended");
    worker.kill();
}

#[tokio::test]
async fn a_tenant_with_thousands_of_hosts_gets_its_share_and_hides_nobody() {
    let stage = Stage::new().await;
    let db = stage.db().await;
    stage
        .a_crowd_and_one("'user:1'", "'host-' || n", "b.example")
        .await;

    let taken = webhooks::take(&db, ROOM, &[]).await.unwrap();

    let whose = by(|parties| parties.tenant, &taken);
    assert_eq!(
        whose,
        BTreeMap::from([("user:1".into(), 8), ("user:2".into(), 1)])
    );
    let under_way: Vec<Parties> = taken.iter().map(Message::parties).collect();
    assert!(
        webhooks::take(&db, ROOM, &under_way)
            .await
            .unwrap()
            .is_empty()
    );
    let more = webhooks::take(&db, ROOM, &under_way[1..]).await.unwrap();
    assert_eq!(more.len(), 1);
}

#[tokio::test]
async fn a_host_of_thousands_of_tenants_gets_its_share_and_hides_no_other() {
    let stage = Stage::new().await;
    let db = stage.db().await;
    stage
        .a_crowd_and_one("'user:' || n + 2", "'slow.example'", "b.example")
        .await;
    let three = vec![
        Parties {
            tenant: "user:9000".into(),
            host: "slow.example".into(),
        };
        3
    ];

    let taken = webhooks::take(&db, ROOM, &three).await.unwrap();

    assert_eq!(
        by(|parties| parties.host, &taken),
        BTreeMap::from([("b.example".into(), 1), ("slow.example".into(), 1)])
    );
}

#[tokio::test]
async fn tenants_of_one_host_are_told_in_turn() {
    let stage = Stage::new().await;
    let db = stage.db().await;
    stage
        .a_crowd_and_one("'user:1'", "'b.example'", "b.example")
        .await;

    let taken = webhooks::take(&db, ROOM, &[]).await.unwrap();

    assert_eq!(
        by(|parties| parties.tenant, &taken),
        BTreeMap::from([("user:1".into(), 3), ("user:2".into(), 1)])
    );
}

#[tokio::test]
async fn however_its_url_is_written_a_host_is_one() {
    let stage = Stage::new().await;
    for (url, host) in [
        ("https://A.Example/hook?x#y", "a.example"),
        ("https://a.example.:000443/", "a.example"),
        ("https://me:secret@a.example:?a:1", "a.example"),
        ("https://a.example..", "a.example"),
        ("http://127.0.0.1:08088/", "127.0.0.1:8088"),
        ("https://[::1]", "[::1]"),
        ("https://[::1]:443/", "[::1]"),
        ("no url", ""),
    ] {
        let job = stage.job_that_tells("a lake", url).await;
        stage
            .sql("UPDATE photo_generation_queue SET status = 'canceled'")
            .await;

        let told = format!(
            r#"SELECT concat(tenant, ' ', host, ' ', ready) FROM photo_generation_webhooks WHERE "jobId" = {job}"#
        );
        assert_eq!(stage.text(&told).await, format!("user:7 {host} t"), "{url}");
    }
}

#[tokio::test]
async fn two_workers_send_no_message_twice() {
    const MESSAGES: usize = 200;
    let (stage, receiver) = (Stage::new().await, Receiver::start().await);
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_webhooks ("jobId", event, url, host, body)
               SELECT n, 'job.failed', '{}', 'host-' || n % 20, '{{}}' FROM generate_series(1, {MESSAGES}) AS n"#,
            receiver.url()
        ))
        .await;

    let one = stage.worker_that_tells(&[&receiver], |_| {}).await;
    let other = stage.worker_that_tells(&[&receiver], |_| {}).await;
    stage
        .until_delivered(i64::try_from(MESSAGES).unwrap())
        .await;

    let got = receiver.got();
    let ids: BTreeSet<_> = got.iter().map(|one| &one.id).collect();
    assert_eq!((got.len(), ids.len()), (MESSAGES, MESSAGES));
    one.stop().await;
    other.stop().await;
}
