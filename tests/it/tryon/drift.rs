//! What was drawn is looked at: drawn once more where the face moved, and the better one kept.

mod ends;
mod killed;

use std::path::PathBuf;

use super::{FACE, RENDER};
use crate::harness::{Stage, count};

/// Where the simulator finds a face that it is not told about.
const OWN: &str = "120, 380, 340, 610";
/// A little lower: the same face.
const NEAR: &str = "130, 380, 350, 610";
/// Half of it is where it was.
const FAR: &str = "195, 380, 415, 610";
const ELSEWHERE: &str = "600, 380, 820, 610";

const NO_CALL_IS_OPEN: &str =
    "SELECT NOT EXISTS (SELECT FROM photo_generation_calls WHERE state = 'calling')";
const NOTHING_TO_REMOVE: &str = "SELECT NOT EXISTS (SELECT FROM photo_generation_removals)";

impl Stage {
    /// The person's face is found, and then those of the drawings here.
    fn drawn_with_faces(&self, faces: &[&str]) {
        self.spoil(FACE, "slow=0ms", 1);
        for face in faces {
            self.spoil(FACE, &format!("text message={{\"box_2d\": [{face}]}}"), 1);
        }
    }

    /// One that needs no garment cut out.
    async fn usual_tryon(&self) -> i64 {
        let coat = self.garment([20, 20, 90]);
        self.tryon(&[coat]).await
    }

    /// The step, or `image 1`, whose call made the picture that the job has.
    async fn kept_of(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT coalesce(call.step, 'image ' || call.index)
               FROM photo_generation_images AS image
               JOIN photo_generation_calls AS call ON call.id = image."callId"
               WHERE image."jobId" = {job} AND image.state = 'stored'
                 AND image."storageKey" LIKE '%/1-' || call.id || '.png'"#
        ))
        .await
    }

    /// The pictures that lie in the folder of a job.
    async fn drawings_of(&self, job: i64) -> Vec<PathBuf> {
        let folder = format!(
            r#"SELECT 'user=3A7/' || "jobId" FROM photo_generation_queue WHERE id = {job}"#
        );
        let folder = self.photos().join(self.text(&folder).await);
        let files = std::fs::read_dir(folder).into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }

    /// One picture is kept, whole, and no other lies anywhere.
    async fn assert_one_kept(&self, job: i64, kept: &str) {
        assert_eq!(self.kept_of(job).await, kept, "{}", self.dump().await);
        // A drain does not wait for that.
        let worker = self.worker().await;
        self.until(NOTHING_TO_REMOVE).await;
        worker.stop().await;
        assert_eq!(self.drawings_of(job).await.len(), 1);
        self.assert_photos().await;
        self.assert_equation().await;
    }
}

#[tokio::test]
async fn a_face_that_moved_is_drawn_once_more_and_the_nearer_one_is_kept() {
    let stage = Stage::new().await;
    for (faces, kept) in [
        ([FAR, NEAR], "redraw"),
        ([ELSEWHERE, FAR], "redraw"),
        ([FAR, ELSEWHERE], "image 1"),
        ([FAR, FAR], "image 1"),
    ] {
        stage.drawn_with_faces(&faces);
        let before = stage.called(RENDER);

        let job = stage.usual_tryon().await;
        stage.drain().await;

        assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
        assert_eq!(
            stage.steps_of(job).await,
            "check stored, face stored, garment-1 stored, recheck stored, redraw stored",
            "{faces:?}"
        );
        assert_eq!(stage.called(RENDER) - before, 2, "{faces:?}");
        // Counted from the first drawing, with time for a look; a grant takes some time, too.
        let waited = format!(
            r#"SELECT max("deadlineAt") FILTER (WHERE step = 'redraw')
                      - min("startedAt") FILTER (WHERE index = 1) BETWEEN '40 s' AND '44 s'
               FROM photo_generation_calls WHERE "jobId" = {job}"#
        );
        assert_eq!(stage.text(&waited).await, "true", "{faces:?}");
        stage.assert_one_kept(job, kept).await;
    }
}

#[tokio::test]
async fn a_face_that_stayed_is_drawn_once() {
    let stage = Stage::new().await;
    stage.drawn_with_faces(&[NEAR]);

    let job = stage.usual_tryon().await;
    stage.drain().await;

    assert_eq!(
        stage.steps_of(job).await,
        "check stored, face stored, garment-1 stored"
    );
    stage.assert_one_kept(job, "image 1").await;
    stage.assert_sound(4).await;
}

#[tokio::test]
async fn a_look_that_brings_nothing_leaves_the_first_drawing() {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    for (fault, step) in [
        ("badjson", "failed"),
        ("badbox", "failed"),
        ("503", "failed"),
        ("blocked", "refused"),
        ("reset", "ambiguous"),
        // Slower than seven seconds.
        ("slow=20s", "ambiguous"),
    ] {
        stage.drawn_with_faces(&[]);
        stage.spoil(FACE, fault, 1);
        let job = stage.usual_tryon().await;
        stage.until_all_ended().await;

        assert_eq!(
            stage.end_of(job).await,
            "completed 1/1 attempts 0 lease 2",
            "{fault}"
        );
        assert_eq!(
            stage.steps_of(job).await,
            format!("check {step}, face stored, garment-1 stored"),
            "{fault}"
        );
        stage.assert_one_kept(job, "image 1").await;
    }
    assert_eq!(stage.called(RENDER), 6);
    worker.stop().await;
}

#[tokio::test]
async fn a_second_drawing_that_goes_wrong_leaves_the_first() {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    for (fault, step) in [
        ("safety", "refused"),
        ("503", "failed"),
        ("400", "failed"),
        ("reset", "ambiguous"),
        ("cut-picture", "failed"),
        ("daily", "planned"),
    ] {
        stage.drawn_with_faces(&[FAR]);
        stage.spoil(RENDER, "slow=0ms", 1);
        stage.spoil(RENDER, fault, 1);
        let job = stage.usual_tryon().await;
        stage.until_all_ended().await;

        assert_eq!(
            stage.end_of(job).await,
            "completed 1/1 attempts 0 lease 2",
            "{fault}"
        );
        assert_eq!(
            stage.steps_of(job).await,
            format!("check stored, face stored, garment-1 stored, recheck planned, redraw {step}"),
            "{fault}"
        );
        stage.assert_one_kept(job, "image 1").await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_second_drawing_in_which_no_face_is_found_is_not_the_better_one() {
    let stage = Stage::new().await;
    stage.drawn_with_faces(&[FAR]);
    stage.spoil(FACE, "badbox", 1);

    let job = stage.usual_tryon().await;
    stage.drain().await;

    assert_eq!(
        stage.steps_of(job).await,
        "check stored, face stored, garment-1 stored, recheck failed, redraw stored"
    );
    stage.assert_one_kept(job, "image 1").await;
}

#[tokio::test]
async fn nobody_waits_for_a_second_drawing_that_would_come_too_late() {
    let stage = Stage::new().await;
    stage.drawn_with_faces(&[FAR]);
    // Twice as long, and a look at it, is more than 45 seconds.
    stage.spoil(RENDER, "slow=22s", 1);

    let job = stage.usual_tryon().await;
    stage.drain().await;

    assert_eq!(stage.steps_of(job).await, "face stored, garment-1 stored");
    assert_eq!((stage.called(RENDER), stage.called(FACE)), (1, 1));
    stage.assert_one_kept(job, "image 1").await;
}

#[tokio::test]
async fn nothing_is_compared_where_no_face_was_found_or_the_shape_is_another() {
    let stage = Stage::new().await;
    stage.spoil(FACE, "badbox", 1);
    let faceless = stage.usual_tryon().await;
    stage.drain().await;
    let wide = stage.usual_tryon().await;
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET "aspectRatio" = '16:9' WHERE id = {wide}"#
        ))
        .await;
    stage.drain().await;

    assert_eq!(
        stage.steps_of(faceless).await,
        "face failed, garment-1 stored"
    );
    assert_eq!(stage.steps_of(wide).await, "face stored, garment-1 stored");
    assert_eq!(stage.called(FACE), 2);
    stage.assert_one_kept(faceless, "image 1").await;
    stage.assert_one_kept(wide, "image 1").await;
}

#[tokio::test]
async fn a_drawing_that_is_looked_at_takes_no_providers_place() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_limits (provider, account, model, "maxConcurrent")
               VALUES ('gemini', 'default', 'gemini-3-pro-image-preview', 1)
               ON CONFLICT (provider, account, model) DO UPDATE SET "maxConcurrent" = 1"#,
        )
        .await;
    stage.drawn_with_faces(&[FAR, OWN]);

    let job = stage.usual_tryon().await;
    stage.drain().await;

    stage.assert_one_kept(job, "redraw").await;
    let log = stage.simulator.log();
    assert_eq!(
        count(&log, |call| call.in_flight > 1
            && call.prompt.contains(RENDER)),
        0
    );
}
