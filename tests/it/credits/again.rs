//! A job that had ended is set back to pending by hand: it pays anew.

use super::ledger;
use crate::harness::Stage;

/// A job of three images of a customer with so many credits; one image is stored, and it has ended.
async fn one_of_three(credits: i64) -> (Stage, i64) {
    let stage = ledger(&[("user:7", credits)]).await;
    let job = stage.job("a lake", 3).await;
    stage.set_status(job, "processing").await;
    stage.image(job, 1, "stored").await;
    stage.image(job, 2, "refused").await;
    stage.set_status(job, "completed").await;
    (stage, job)
}

async fn in_short(stage: &Stage, job: i64) -> String {
    stage
        .text(&format!(
            r#"SELECT concat_ws(' ', status, "errorCode", "errorMessage") FROM photo_generation_queue WHERE id = {job}"#
        ))
        .await
}

#[tokio::test]
async fn it_reserves_for_the_images_that_are_not_stored() {
    let (stage, job) = one_of_three(3).await;

    stage.set_status(job, "pending").await;

    assert_eq!(in_short(&stage, job).await, "pending");
    assert_eq!(
        stage.book("user:7").await,
        "left 0 reserved 2 captured 1 refunded 2"
    );
    stage.image(job, 2, "stored").await;
    stage.set_status(job, "canceled").await;
    assert_eq!(
        stage.book("user:7").await,
        "left 1 reserved 0 captured 2 refunded 3"
    );
    assert_eq!(
        stage.settled(job).await,
        "1 capture, 2 refund not_made, 3 refund not_made, 2 capture, 3 refund canceled"
    );
}

#[tokio::test]
async fn without_credit_it_ends_at_once_and_says_why() {
    let (stage, job) = one_of_three(3).await;
    stage.grant("user:7", -1).await;

    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET status = 'pending', "completedAt" = NULL WHERE id = {job}"#
        ))
        .await;

    assert_eq!(
        in_short(&stage, job).await,
        "failed insufficient_credits Not enough credits: 1 left, 2 needed."
    );
    let ended = r#"SELECT count(*) FROM photo_generation_queue WHERE "completedAt" IS NOT NULL"#;
    assert_eq!(stage.number(ended).await, 1);
    let images = "SELECT string_agg(state, ' ' ORDER BY index) FROM photo_generation_images";
    assert_eq!(stage.text(images).await, "stored refused");
    assert_eq!(
        stage.book("user:7").await,
        "left 1 reserved 0 captured 1 refunded 2"
    );
    // With more it goes on where it stood, from that end, too.
    stage.grant("user:7", 1).await;
    stage.set_status(job, "pending").await;
    assert_eq!(in_short(&stage, job).await, "pending");
}

#[tokio::test]
async fn with_all_images_stored_it_reserves_nothing() {
    let (stage, job) = one_of_three(3).await;
    stage.image(job, 2, "stored").await;
    stage.image(job, 3, "stored").await;
    stage.grant("user:7", -2).await;

    stage.set_status(job, "pending").await;

    assert_eq!(in_short(&stage, job).await, "pending");
    // What was stored after its job had ended and was refunded is a gift.
    assert_eq!(
        stage.book("user:7").await,
        "left 0 reserved 0 captured 1 refunded 2"
    );
}

#[tokio::test]
async fn an_image_that_is_still_called_stays_of_its_round() {
    let stage = ledger(&[("user:7", 5)]).await;
    let job = stage.job("a lake", 3).await;
    stage.set_status(job, "processing").await;
    stage.image(job, 1, "calling").await;
    stage.set_status(job, "canceled").await;

    stage.set_status(job, "pending").await;
    assert_eq!(
        stage.book("user:7").await,
        "left 2 reserved 3 captured 0 refunded 2"
    );
    stage.set_status(job, "processing").await;
    // The call is found to be lost, and the image is called once more.
    stage.image(job, 1, "planned").await;
    stage.image(job, 1, "calling").await;
    for index in [1, 2] {
        stage.image(job, index, "stored").await;
    }
    stage.set_status(job, "completed").await;

    let rounds = r"SELECT string_agg(concat_ws(' ', round, index, kind), ', ' ORDER BY id)
        FROM photo_generation_credit_entries WHERE index IS NOT NULL";
    assert_eq!(
        stage.text(rounds).await,
        "1 2 refund, 1 3 refund, 1 1 capture, 2 2 capture, 2 3 refund"
    );
    assert_eq!(
        stage.book("user:7").await,
        "left 3 reserved 0 captured 2 refunded 3"
    );
}

#[tokio::test]
async fn a_job_that_runs_and_is_set_back_pays_nothing_more() {
    let stage = ledger(&[("user:7", 3)]).await;
    let job = stage.job("a lake", 3).await;

    for status in [
        "processing",
        "pending",
        "rate_limited",
        "processing",
        "pending",
    ] {
        stage.set_status(job, status).await;
    }

    assert_eq!(
        stage.book("user:7").await,
        "left 0 reserved 3 captured 0 refunded 0"
    );
}
