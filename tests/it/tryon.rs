//! Try-ons: what is called for one, in which order, and what is not called again.

mod crash;
mod drift;
mod fidelity;
mod garment;

use std::time::Duration;

use safelight::domain::Provider;
use safelight::providers::simulator::{CallRecord, Fault, PushedFault};
use sha2::{Digest as _, Sha256};

use crate::harness::{Stage, count, hangs};

/// What the calls of a try-on have in their prompts.
const FACE: &str = "Find the face";
const GARMENT: &str = "Show only the garment";
const RENDER: &str = "wearing all of the garments";

impl Stage {
    /// A picture of one colour that user 7 has uploaded.
    fn garment(&self, colour: [u8; 3]) -> String {
        self.garment_of("7", colour)
    }

    fn garment_of(&self, user: &str, colour: [u8; 3]) -> String {
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_pixel(64, 96, image::Rgb(colour))
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        let png = png.into_inner();
        let name = safelight::domain::hex(&Sha256::digest(&png));
        let folder = self.photos().join(format!("uploads/user=3A{user}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
        format!("upload:{name}.png")
    }

    /// A try-on as an app inserts it.
    async fn tryon(&self, garments: &[String]) -> i64 {
        self.tryon_of("7", garments).await
    }

    async fn tryon_of(&self, user: &str, garments: &[String]) -> i64 {
        let person = self.garment_of(user, [200, 160, 140]);
        let payload = serde_json::json!({"personImage": person, "garmentImages": garments});
        sqlx::query_scalar(
            r#"INSERT INTO photo_generation_queue (type, payload, "userId")
               VALUES ('tryon', $1, $2) RETURNING id"#,
        )
        .bind(payload)
        .bind(user)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The steps of a job with what became of them.
    async fn steps_of(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT string_agg(concat_ws(' ', step, state), ', ' ORDER BY step)
               FROM photo_generation_steps WHERE "jobId" = {job}"#
        ))
        .await
    }

    /// The next calls whose prompt has these words go wrong.
    fn spoil(&self, words: &str, fault: &str, times: u32) {
        let fault: Fault = fault.parse().unwrap();
        self.simulator.push_fault(PushedFault {
            matching: words.to_owned(),
            times,
            ..PushedFault::from(fault)
        });
    }

    fn called(&self, words: &str) -> i64 {
        count(&self.simulator.log(), |call| call.prompt.contains(words))
    }
}

/// Pictures that went along with the last call.
fn pictures_of_render(log: &[CallRecord]) -> u32 {
    let render = log.iter().rfind(|call| call.prompt.contains(RENDER));
    render.unwrap().images_in
}

#[tokio::test]
async fn a_tryon_cuts_out_its_garments_finds_the_face_and_draws_one_picture() {
    let stage = Stage::new().await;
    let garments = [stage.garment([20, 20, 90]), stage.garment([180, 20, 20])];

    let job = stage.tryon(&garments).await;
    stage.drain().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    assert_eq!(
        stage.steps_of(job).await,
        "check stored, face stored, garment-1 stored, garment-2 stored"
    );
    let log = stage.simulator.log();
    let last = &log[3];
    assert_eq!(log[4].model, "gemini-2.5-flash");
    assert_eq!(last.model, "gemini-3-pro-image-preview");
    assert_eq!(last.images_in, 4);
    assert!(
        last.prompt.starts_with(
            "The person:\nThe garment:\nA second garment:\nThe person's face, close up:\nMake"
        ),
        "{}",
        last.prompt
    );
    let mut before: Vec<&str> = log[..3].iter().map(|call| &*call.model).collect();
    before.sort_unstable();
    assert_eq!(
        before,
        [
            "gemini-2.5-flash",
            "gemini-2.5-flash-image",
            "gemini-2.5-flash-image"
        ]
    );
    // The face is kept as it was found, the garments lie in the storage of the tenant.
    let face = format!(
        r#"SELECT result ->> 'box_2d' FROM photo_generation_steps WHERE "jobId" = {job} AND step = 'face'"#
    );
    assert_eq!(stage.text(&face).await, "[120, 380, 340, 610]");
    let key = stage
        .text(r#"SELECT min("storageKey") FROM photo_generation_garments WHERE tenant = 'user:7'"#)
        .await;
    assert!(key.starts_with("garments/user=3A7/garment-"), "{key}");
    assert!(stage.photos().join(&key).exists());
    stage.assert_sound(5).await;
}

#[tokio::test]
async fn the_same_garment_twice_is_made_once() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);

    let job = stage.tryon(&[coat.clone(), coat]).await;
    stage.drain().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    assert_eq!(stage.called(GARMENT), 1);
    assert_eq!(pictures_of_render(&stage.simulator.log()), 4);
    stage.assert_sound(4).await;
}

#[tokio::test]
async fn a_garment_is_made_once_for_all_jobs_of_a_tenant_and_for_no_other() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);
    let theirs = stage.garment_of("8", [20, 20, 90]);
    stage.spoil(GARMENT, "slow=500ms", 2);
    let mut jobs = vec![stage.tryon_of("8", &[theirs]).await];
    for _ in 0..3 {
        jobs.push(stage.tryon(std::slice::from_ref(&coat)).await);
    }

    let workers = [stage.worker().await, stage.worker().await];
    stage.until_all_ended().await;

    for job in jobs {
        assert!(
            stage
                .end_of(job)
                .await
                .starts_with("completed 1/1 attempts 0"),
            "{}",
            stage.dump().await
        );
    }
    assert_eq!(stage.called(GARMENT), 2);
    stage.assert_sound(2 + 4 + 4 + 4).await;
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_garment_of_a_job_that_was_canceled_is_free_at_once() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);
    stage.spoil(GARMENT, "hang", 1);
    let worker = stage.worker().await;
    let canceled = stage.tryon(std::slice::from_ref(&coat)).await;
    stage.until_called(hangs).await;
    stage
        .sql(&format!(
            "UPDATE photo_generation_queue SET status = 'canceled' WHERE id = {canceled}"
        ))
        .await;

    let next = stage.tryon(&[coat]).await;
    stage
        .until_within(
            "SELECT bool_and(status IN ('completed', 'canceled')) FROM photo_generation_queue",
            Duration::from_secs(30),
        )
        .await;

    assert_eq!(stage.end_of(next).await, "completed 1/1 attempts 0 lease 2");
    assert_eq!(stage.called(GARMENT), 2);
    worker.stop().await;
}

#[tokio::test]
async fn whatever_the_small_model_answers_there_is_a_picture_with_one_question() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);
    let worker = stage.worker().await;

    for (fault, step, call) in [
        ("badjson", "failed", "empty"),
        ("badbox", "failed", "empty"),
        ("text", "failed", "empty"),
        ("empty", "failed", "empty"),
        ("blocked", "refused", "refused"),
        ("503", "failed", "error"),
        ("400", "failed", "error"),
        ("reset", "ambiguous", "ambiguous"),
        ("webpage", "ambiguous", "ambiguous"),
        // Slower than seven seconds.
        ("slow=20s", "ambiguous", "ambiguous"),
    ] {
        stage.spoil(FACE, fault, 1);
        let job = stage.tryon(std::slice::from_ref(&coat)).await;
        stage.until_all_ended().await;

        assert_eq!(
            stage.end_of(job).await,
            "completed 1/1 attempts 0 lease 2",
            "{fault}"
        );
        assert_eq!(
            stage.steps_of(job).await,
            format!("face {step}, garment-1 stored"),
            "{fault}"
        );
        let state = format!(
            r#"SELECT string_agg(state, ' ') FROM photo_generation_calls
               WHERE "jobId" = {job} AND step = 'face'"#
        );
        assert_eq!(stage.text(&state).await, call, "{fault}");
        assert_eq!(pictures_of_render(&stage.simulator.log()), 3, "{fault}");
    }
    stage.assert_equation().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_small_model_that_may_not_be_called_holds_up_no_tryon() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);
    stage
        .sql("UPDATE photo_generation_limits SET paused = true WHERE model = 'gemini-2.5-flash'")
        .await;

    let job = stage.tryon(&[coat]).await;
    stage.drain().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    assert_eq!(stage.steps_of(job).await, "face planned, garment-1 stored");
    assert_eq!(stage.called(FACE), 0);
    stage.assert_sound(2).await;
}

#[tokio::test]
async fn a_garment_that_cannot_be_cut_out_stays_in_its_picture() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);
    stage.spoil(GARMENT, "safety", 1);

    let job = stage.tryon(std::slice::from_ref(&coat)).await;
    stage.drain().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    assert_eq!(
        stage.steps_of(job).await,
        "check stored, face stored, garment-1 refused"
    );
    stage.assert_sound(4).await;
    // On the last attempt an error is reason enough, whatever it is worth else.
    for (red, fault) in [(1, "503"), (2, "finish reason=LANGUAGE")] {
        stage.spoil(GARMENT, fault, 1);
        let last = stage.tryon(&[stage.garment([red, 20, 90])]).await;
        stage
            .sql(&format!(
                r#"UPDATE photo_generation_queue SET "maxAttempts" = 1 WHERE id = {last}"#
            ))
            .await;
        stage.drain().await;
        assert_eq!(
            stage.end_of(last).await,
            "completed 1/1 attempts 0 lease 2",
            "{fault}"
        );
        assert_eq!(
            stage.steps_of(last).await,
            "check stored, face stored, garment-1 failed",
            "{fault}"
        );
    }
    stage.assert_equation().await;
}

#[tokio::test]
async fn an_error_of_a_garment_is_an_attempt_and_what_was_found_stays() {
    let stage = Stage::new().await;
    let garments = [stage.garment([20, 20, 90]), stage.garment([180, 20, 20])];
    stage.spoil(GARMENT, "503", 1);

    let job = stage.tryon(&garments).await;
    stage.drain().await;
    assert_eq!(stage.status(job).await, "pending");
    stage
        .sql(r#"UPDATE photo_generation_queue SET "retryAt" = NULL"#)
        .await;
    stage.drain().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 1 lease 4");
    assert_eq!((stage.called(FACE), stage.called(GARMENT)), (2, 3));
    stage.assert_sound(6).await;
}

#[tokio::test]
async fn what_one_step_breaks_of_the_attempt_the_others_have_done() {
    let stage = Stage::new().await;
    stage
        .sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE 'no faces'; END $$;
             CREATE TRIGGER refuse BEFORE UPDATE ON photo_generation_steps FOR EACH ROW
                 WHEN (NEW.step = 'face' AND NEW.state = 'stored') EXECUTE FUNCTION refuse()",
        )
        .await;
    stage.spoil(GARMENT, "slow=1s", 1);
    let coat = stage.garment([20, 20, 90]);

    let job = stage.tryon(&[coat]).await;
    stage.drain().await;

    assert_eq!(stage.status(job).await, "pending");
    assert_eq!(stage.steps_of(job).await, "face calling, garment-1 stored");
}

#[tokio::test]
async fn a_tryon_that_comes_before_the_first_worker_is_drawn_by_what_the_fleet_has() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);

    let job = stage.tryon(&[coat]).await;
    let model = "SELECT model FROM photo_generation_queue";
    assert_eq!(stage.text(model).await, "");
    stage.drain_of(Provider::OpenAi).await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    assert_eq!(stage.simulator.log()[0].model, "gpt-image-1.5");
    // In a fleet of Gemini it is the large model that draws; see above.
}

#[tokio::test]
async fn a_garment_that_the_storage_refuses_to_hand_out_is_made_again_by_the_next() {
    let stage = Stage::in_a_bucket().await;
    let coat = stage.garment([20, 20, 90]);
    stage.tryon(std::slice::from_ref(&coat)).await;
    stage.drain().await;

    stage.bucket().forbid(Some("garments/"));
    let job = stage.tryon(std::slice::from_ref(&coat)).await;
    stage.drain().await;
    stage.bucket().forbid(None);
    let next = stage.tryon(&[coat]).await;
    stage.drain().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    assert_eq!(stage.end_of(next).await, "completed 1/1 attempts 0 lease 2");
    assert_eq!(stage.called(GARMENT), 2);
    stage.assert_sound(4 + 3 + 4).await;
}

#[tokio::test]
async fn a_row_that_is_no_tryon_fails_with_a_sentence() {
    let stage = Stage::new().await;
    let job: i64 = sqlx::query_scalar(
        "INSERT INTO photo_generation_queue (type, payload) VALUES ('tryon', '{}') RETURNING id",
    )
    .fetch_one(&stage.pool)
    .await
    .unwrap();

    stage.drain().await;

    let end = format!(
        r#"SELECT concat_ws(' ', status, "errorCode", "errorMessage") FROM photo_generation_queue WHERE id = {job}"#
    );
    let end = stage.text(&end).await;
    assert!(
        end.starts_with("failed invalid_request \"personImage\""),
        "{end}"
    );
}

#[tokio::test]
async fn a_job_that_is_done_again_keeps_what_its_steps_have_found() {
    let stage = Stage::new().await;
    let coat = stage.garment([20, 20, 90]);
    stage.spoil(RENDER, "safety", 1);

    let job = stage.tryon(&[coat]).await;
    stage.drain().await;
    assert_eq!(stage.status(job).await, "failed");
    stage
        .sql(&format!(
            "UPDATE photo_generation_queue SET status = 'pending' WHERE id = {job}"
        ))
        .await;
    stage.drain().await;

    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 4");
    assert_eq!((stage.called(FACE), stage.called(GARMENT)), (2, 1));
    stage.assert_sound(5).await;
}
