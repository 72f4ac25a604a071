//! A worker that dies with a message in hand.

use std::time::Duration;

use safelight::db::webhooks::{self, Room};

use crate::harness::{Receiver, Reply, Stage, WEBHOOK_SECRET};

const ROOM: Room = Room {
    free: 9,
    of_a_host: 9,
    of_a_tenant: 9,
};

#[tokio::test]
async fn a_message_of_a_killed_worker_is_sent_again_under_the_same_id() {
    let stage = Stage::new().await;
    let receiver = Receiver::that(|number| match number {
        0 => Reply::Never,
        _ => Reply::Status(200),
    })
    .await;
    let allow = ["--image-fetch-allow", &receiver.address];
    let secret = ["--webhook-secret", WEBHOOK_SECRET];
    let killed = stage.process(&[allow, secret].concat());
    stage.job_that_tells("a lake", &receiver.url()).await;
    receiver.until(1).await;

    killed.kill_9().await;
    // It is this worker's for a minute, which nobody has to wait for here.
    let taken =
        r#"SELECT "tryAt" - "triedAt" = interval '1 minute' FROM photo_generation_webhooks"#;
    assert_eq!(stage.text(taken).await, "true");
    stage.send_again().await;
    let worker = stage.worker_that_tells(&[&receiver], |_| {}).await;
    let told = receiver.until(2).await;
    stage.until_delivered(1).await;

    assert_eq!((&told[0].id, &told[0].body), (&told[1].id, &told[1].body));
    assert_eq!(
        stage.messages().await,
        "job.completed tries 2 200 delivered"
    );
    worker.stop().await;
}

/// The end of a try that took longer than its minute says nothing of the next one.
#[tokio::test]
async fn a_late_answer_changes_nothing_of_a_later_try() {
    let stage = Stage::new().await;
    stage.job_that_tells("a lake", "https://a.example/").await;
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .await;
    let db = stage.db().await;
    let take = async || webhooks::take(&db, ROOM, &[]).await.unwrap();
    let first = take().await.remove(0);
    assert!(take().await.is_empty());
    stage.send_again().await;
    webhooks::make_ready(&db).await.unwrap();
    let second = take().await.remove(0);
    assert!(take().await.is_empty());

    let late = webhooks::failed(&db, &first, None, "The receiver did not answer.", None);
    late.await.unwrap();
    assert_eq!(stage.messages().await, "job.canceled tries 2 waits");
    webhooks::delivered(&db, &second, 200).await.unwrap();

    assert_eq!(stage.messages().await, "job.canceled tries 2 200 delivered");
}

/// Its minute was over, and nobody had taken it again.
#[tokio::test]
async fn what_a_late_end_says_is_over_is_in_nobodys_way() {
    let stage = Stage::new().await;
    let db = stage.db().await;
    for error in [None, Some("The receiver did not answer.")] {
        stage.job_that_tells("a lake", "https://a.example/").await;
        stage
            .sql("UPDATE photo_generation_queue SET status = 'canceled'")
            .await;
        let taken = webhooks::take(&db, ROOM, &[]).await.unwrap().remove(0);
        stage.send_again().await;
        webhooks::make_ready(&db).await.unwrap();

        match error {
            None => webhooks::delivered(&db, &taken, 200).await.unwrap(),
            Some(error) => {
                let an_hour = Some(Duration::from_hours(1));
                webhooks::failed(&db, &taken, None, error, an_hour)
                    .await
                    .unwrap();
            }
        }

        let ready = "SELECT count(*) FROM photo_generation_webhooks WHERE ready";
        assert_eq!(stage.number(ready).await, 0, "{error:?}");
    }
}
