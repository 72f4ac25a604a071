//! Who makes a garment that several jobs want: what the database answers them, statement by statement.

use safelight::db::ledger::{self, InSpool, Lost, StoredPicture};
use uuid::Uuid;

use crate::harness::Stage;

impl Stage {
    /// A try-on that somebody works, with its first garment to be made.
    async fn at_work(&self) -> i64 {
        let job = self.tryon(&[]).await;
        self.sql(&format!(
            r#"UPDATE photo_generation_queue SET status = 'processing', run = gen_random_uuid(), "lockedBy" = 'one'
               WHERE id = {job};
               INSERT INTO photo_generation_images ("jobId", index) VALUES ({job}, 1);
               INSERT INTO photo_generation_steps ("jobId", step) VALUES ({job}, 'garment-1')"#
        ))
        .await;
        job
    }

    /// What a job is told that asks for the garment.
    async fn asks(&self, job: i64) -> String {
        self.text(&format!(
            "SELECT photo_generation_take_garment(id, lease, 'garment-1', 'user:7', 'coat')
             FROM photo_generation_queue WHERE id = {job}"
        ))
        .await
    }

    /// A job has its garment made: the call.
    async fn has_it_made(&self, job: i64) -> Uuid {
        assert_eq!(self.asks(job).await, "mine");
        let call = Uuid::new_v4();
        self.sql(&format!(
            r#"INSERT INTO photo_generation_calls (id, "jobId", "jobUuid", tenant, step, lease, run, attempt,
                                                  provider, account, model, "deadlineAt")
               SELECT '{call}', id, "jobId", 'user:7', 'garment-1', lease, run, 1, 'gemini', 'default',
                      'gemini-2.5-flash-image', now() + interval '3 minutes'
               FROM photo_generation_queue WHERE id = {job};
               UPDATE photo_generation_steps SET state = 'calling', "callId" = '{call}' WHERE "jobId" = {job}"#
        ))
        .await;
        call
    }

    /// That call has ended, and its step with it.
    async fn ends(&self, call: Uuid, state: &str, step: &str) {
        self.sql(&format!(
            r#"UPDATE photo_generation_calls
               SET state = '{state}', "endedAt" = now(), "errorCode" = 'moderation_output', error = 'No.'
               WHERE id = '{call}';
               UPDATE photo_generation_steps SET state = '{step}' WHERE "callId" = '{call}'"#
        ))
        .await;
    }

    /// Its picture lay in a spool, and is in the storage now.
    async fn comes_out_of_the_spool(&self, call: Uuid) {
        let db = self.db().await;
        let mut known = ledger::in_spool(&db, &[call]).await.unwrap();
        let Some(InSpool::Waiting(orphan)) = known.remove(&call) else {
            panic!("{known:?}");
        };
        let picture = StoredPicture {
            key: format!("garments/user=3A7/garment-{call}.png"),
            call,
            url: None,
            mime: "image/png",
            bytes: 9,
            width: 8,
            height: 8,
            sha256: "00".to_owned(),
        };
        let settled = ledger::settle_orphan(&db, &orphan, Some(&picture), Lost::Worker).await;
        assert!(settled.unwrap());
    }
}

#[tokio::test]
async fn while_its_maker_draws_what_it_could_not_cut_out_another_may_try() {
    let stage = Stage::new().await;
    let (maker, other) = (stage.at_work().await, stage.at_work().await);
    let call = stage.has_it_made(maker).await;
    assert_eq!(stage.asks(other).await, "busy");

    stage.ends(call, "error", "failed").await;

    assert_eq!(stage.asks(other).await, "mine");
}

#[tokio::test]
async fn what_was_refused_to_one_is_not_asked_for_by_the_next_ones() {
    let stage = Stage::new().await;
    let maker = stage.at_work().await;
    let call = stage.has_it_made(maker).await;
    stage.ends(call, "refused", "refused").await;

    let other = stage.at_work().await;
    assert_eq!(stage.asks(other).await, "refused");

    let step = format!(
        r#"SELECT concat_ws(' ', state, "errorCode", error) FROM photo_generation_steps
           WHERE "jobId" = {other}"#
    );
    assert_eq!(stage.text(&step).await, "refused moderation_output No.");
    stage
        .sql(r#"UPDATE photo_generation_calls SET "endedAt" = now() - interval '11 minutes'"#)
        .await;
    let later = stage.at_work().await;
    assert_eq!(stage.asks(later).await, "mine");
}

#[tokio::test]
async fn whoever_was_refused_may_ask_again_by_hand() {
    let stage = Stage::new().await;
    let maker = stage.at_work().await;
    let call = stage.has_it_made(maker).await;
    stage.ends(call, "refused", "refused").await;

    stage
        .sql("UPDATE photo_generation_steps SET state = 'planned'")
        .await;

    assert_eq!(stage.asks(maker).await, "mine");
}

#[tokio::test]
async fn what_lies_in_a_spool_is_waited_for_and_not_bought_again_whatever_becomes_of_its_job() {
    let stage = Stage::new().await;
    for end in [
        "UPDATE photo_generation_queue SET status = 'canceled' WHERE id = $job",
        "DELETE FROM photo_generation_queue WHERE id = $job",
    ] {
        let (maker, other) = (stage.at_work().await, stage.at_work().await);
        let call = stage.has_it_made(maker).await;
        stage
            .sql(&format!(
                "UPDATE photo_generation_calls SET spool = gen_random_uuid() WHERE id = '{call}'"
            ))
            .await;
        stage.sql(&end.replace("$job", &maker.to_string())).await;

        assert_eq!(stage.asks(other).await, "kept", "{end}");
        stage.comes_out_of_the_spool(call).await;
        assert_eq!(stage.asks(other).await, "ready", "{end}");

        stage.sql("DELETE FROM photo_generation_garments").await;
    }
}

#[tokio::test]
async fn a_garment_whose_row_was_deleted_while_it_was_made_is_there_for_the_next() {
    let stage = Stage::new().await;
    let (maker, other) = (stage.at_work().await, stage.at_work().await);
    let call = stage.has_it_made(maker).await;
    stage.sql("DELETE FROM photo_generation_garments").await;

    stage
        .sql(&format!(
            r#"UPDATE photo_generation_steps SET state = 'stored', "storageKey" = 'k'
               WHERE "callId" = '{call}'"#
        ))
        .await;

    assert_eq!(stage.asks(other).await, "ready");
}

#[tokio::test]
async fn a_job_that_waits_for_nothing_but_its_garments_is_brought_forward_when_they_are_there() {
    let stage = Stage::new().await;
    let db = stage.db().await;
    let (one, usual) = (stage.at_work().await, stage.job("a lake", 1).await);
    stage.asks(one).await;
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_images ("jobId", index) VALUES ({usual}, 1);
               UPDATE photo_generation_queue
               SET status = 'pending', "lockedBy" = NULL, run = NULL, "retryAt" = now() + interval '30 s'"#
        ))
        .await;

    for (state, is_brought) in [("planned", false), ("calling", false), ("failed", true)] {
        stage
            .sql(&format!(
                "UPDATE photo_generation_steps SET state = '{state}'"
            ))
            .await;
        let brought = ledger::bring_forward(&db, one).await.unwrap();
        assert_eq!(brought, is_brought, "{state}");
    }
    // Its picture is yet to be made.
    assert!(!ledger::bring_forward(&db, usual).await.unwrap());
}
