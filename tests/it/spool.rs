//! The storage is away: what is paid for waits on the worker's disk and is stored later, by itself.
//!
//! The storage is a directory, and away while a file stands in its place. The simulator meters the calls.

mod by_hand;
mod crash;
mod full;
mod machines;
mod outage;

use std::path::PathBuf;

use crate::harness::{InProcess, Stage};
use crate::ops::psql::psql;

/// Pictures that wait.
const WAITING: &str =
    "(SELECT count(*) FROM photo_generation_calls WHERE state = 'calling' AND spool IS NOT NULL)";

/// A stage whose storage goes away and comes back.
impl Stage {
    fn aside(&self) -> PathBuf {
        self.photos().with_extension("aside")
    }

    pub(crate) fn storage_goes_away(&self) {
        std::fs::create_dir_all(self.photos()).unwrap();
        std::fs::rename(self.photos(), self.aside()).unwrap();
        std::fs::write(self.photos(), b"no directory").unwrap();
    }

    pub(crate) fn storage_comes_back(&self) {
        std::fs::remove_file(self.photos()).unwrap();
        std::fs::rename(self.aside(), self.photos()).unwrap();
    }

    pub(crate) async fn until_spooled(&self, photos: i64) {
        self.until(&format!("SELECT {WAITING} = {photos}")).await;
    }

    /// Lets a job that waits be claimed at once, and waits until it waits again.
    async fn claim_in_vain(&self, job: i64) {
        let lease = self
            .number(&format!(
                "SELECT lease FROM photo_generation_queue WHERE id = {job}"
            ))
            .await;
        self.sql(r#"UPDATE photo_generation_queue SET "retryAt" = NULL WHERE status = 'pending'"#)
            .await;
        self.until(&format!(
            "SELECT lease >= {lease} + 2 AND status = 'pending' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
    }

    /// How a job stands, however often it was claimed.
    pub(crate) async fn ended_as(&self, job: i64) -> String {
        let stands = self.end_of(job).await;
        let (ended, _) = stands.split_once(" lease").unwrap();
        ended.to_owned()
    }

    pub(crate) async fn worker_at(&self, machine: &str) -> InProcess {
        let mut config = self.config();
        config.worker.spool_dir = self.spool(machine);
        self.worker_from(config, |_| {}).await
    }

    /// The pictures in the spool of a machine.
    fn spooled(&self, machine: &str) -> Vec<PathBuf> {
        files(&self.spool(machine))
    }

    /// Nothing waits any more, in no table and on no disk.
    async fn until_nothing_waits(&self, machine: &str) {
        self.until(&format!(
            "SELECT {WAITING} = 0 AND NOT EXISTS (SELECT FROM photo_generation_spools)"
        ))
        .await;
        assert_eq!(self.spooled(machine), Vec::<PathBuf>::new());
    }
}

/// Waits for something outside of the database.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, waiting)
        .await
        .expect("it never came to it");
}

/// Those that are not hidden, with their folders.
fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.file_name().unwrap().to_str().unwrap().starts_with('.') {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_paid_picture_waits_and_the_others_of_its_job_go_on() {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    let job = stage.job("a lake", 1).await;
    stage.until_all_ended().await;
    let next = stage
        .job("a wood [sim:slow=2s@1-2] [sim:safety@3]", 3)
        .await;
    stage.until_called(|log| log.len() == 4).await;

    stage.storage_goes_away();
    stage.until_spooled(2).await;
    stage
        .until(&format!(
            "SELECT status = 'pending' FROM photo_generation_queue WHERE id = {next}"
        ))
        .await;

    assert_eq!(stage.calls_of(next).await, "calling 2, refused 1");
    let row = stage
        .text(&format!(
            r#"SELECT concat_ws(' ', attempts, "imagesCompleted", "retryAt" - now() BETWEEN '20 s' AND '40 s', "errorCode")
               FROM photo_generation_queue WHERE id = {next}"#
        ))
        .await;
    assert_eq!(row, "0 0 t");
    let call = stage
        .text(
            r#"SELECT DISTINCT concat_ws(' ', accepted, "providerRequestId" IS NOT NULL, "outputTokens" > 0)
               FROM photo_generation_calls WHERE state = 'calling'"#,
        )
        .await;
    assert_eq!(call, "t t t");
    stage
        .until(r#"SELECT photos = 2 AND bytes > 0 AND "fullSince" IS NULL AND error IS NOT NULL FROM photo_generation_spools"#)
        .await;

    stage.storage_comes_back();
    stage.until_all_ended().await;
    assert_eq!(stage.calls_of(next).await, "refused 1, stored 2");
    assert_eq!(stage.ended_as(next).await, "completed 2/3 attempts 0");
    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 2");
    stage.until_nothing_waits("usual").await;
    stage.assert_sound(4).await;
    worker.stop().await;
}

#[tokio::test]
async fn waiting_for_the_storage_neither_counts_nor_charges() {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    stage.storage_goes_away();
    let job = stage.job("a lake", 2).await;
    stage.until_spooled(2).await;

    // Claimed again and again in vain.
    for _ in 0..3 {
        stage.claim_in_vain(job).await;
    }
    let open =
        "SELECT coalesce(sum(running), 0) FROM photo_generation_limits AS l CROSS JOIN LATERAL
        (SELECT 1 AS running FROM photo_generation_budget(l.provider, l.account, l.model, '0',
                   (SELECT run FROM photo_generation_workers), 2, NULL)
         WHERE why = 'pace') AS held";
    assert_eq!(stage.number(open).await, 0, "they count as calls in flight");

    // An hour later.
    stage
        .sql(
            r#"UPDATE photo_generation_calls
               SET "startedAt" = "startedAt" - interval '1 hour', "deadlineAt" = "deadlineAt" - interval '1 hour' "#,
        )
        .await;
    stage.storage_comes_back();
    stage.until_all_ended().await;

    assert_eq!(stage.ended_as(job).await, "completed 2/2 attempts 0");
    let charged = stage
        .text("SELECT coalesce(sum(seconds), 0) < 60 FROM photo_generation_charges")
        .await;
    assert_eq!(charged, "true");
    stage.assert_sound(2).await;
    worker.stop().await;
}

#[tokio::test]
async fn the_last_attempt_of_a_job_waits_for_its_picture() {
    let stage = Stage::new().await;
    let worker = stage.worker().await;
    stage.storage_goes_away();
    let job = stage.job("a lake [sim:500@2]", 2).await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET "maxAttempts" = 1"#)
        .await;
    stage.until_spooled(1).await;
    let waits = format!(
        "SELECT status = 'pending' AND attempts = 1 FROM photo_generation_queue WHERE id = {job}"
    );
    stage.until(&waits).await;

    // Now that no attempt is left.
    stage
        .sql(r#"UPDATE photo_generation_queue SET "retryAt" = NULL"#)
        .await;
    stage
        .until(r#"SELECT status = 'pending' AND "retryAt" IS NOT NULL FROM photo_generation_queue"#)
        .await;
    stage.storage_comes_back();
    stage
        .until("SELECT count(*) = 1 FROM photo_generation_images WHERE state = 'stored'")
        .await;
    stage
        .sql(r#"UPDATE photo_generation_queue SET "retryAt" = NULL WHERE status = 'pending'"#)
        .await;
    stage.until_all_ended().await;

    assert_eq!(stage.ended_as(job).await, "completed 1/2 attempts 1");
    assert_eq!(stage.calls_of(job).await, "error 1, stored 1");
    worker.stop().await;
}

#[tokio::test]
async fn a_drain_waits_for_its_spool() {
    let stage = Stage::new().await;
    let job = stage.job("a lake [sim:slow=1s]", 1).await;
    let drain = stage
        .worker_with(|settings| settings.until = safelight::worker::Until::Drained)
        .await;
    stage.until_called(|log| log.len() == 1).await;
    stage.storage_goes_away();
    stage.until_spooled(1).await;
    stage
        .until(&format!(
            "SELECT status = 'pending' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;

    stage.storage_comes_back();
    drain.ended().await;

    assert_eq!(stage.ended_as(job).await, "completed 1/1 attempts 0");
    stage.until_nothing_waits("usual").await;
    stage.assert_sound(1).await;
}

/// Without a worker, so that it stays to be looked at.
#[tokio::test]
async fn everybody_who_asks_is_told_what_waits_where() {
    let stage = Stage::new().await;
    let worker = stage
        .worker_with(|settings| "w1".clone_into(&mut settings.label))
        .await;
    stage.storage_goes_away();
    let job = stage.job("a lake", 2).await;
    stage.until_spooled(2).await;
    stage
        .until("SELECT photos = 2 AND error IS NOT NULL FROM photo_generation_spools")
        .await;
    worker.killed().await;
    stage.storage_comes_back();

    let shown = stage.safelight(&["show", &job.to_string()]).await;
    for words in [
        "Images 1, 2 are paid for and wait in the spool of w1",
        "image 1: bought after",
    ] {
        assert!(shown.stdout.contains(words), "{shown:?}");
    }
    let shown = stage.safelight(&["show", &job.to_string(), "--json"]).await;
    assert_eq!(shown.json()["spooled"][1]["index"], 2);
    let doctor = stage.safelight(&["doctor"]).await;
    let line = doctor
        .stdout
        .lines()
        .find(|line| line.starts_with("warn  spool"));
    assert!(
        line.is_some_and(|line| line.contains("2 photos")),
        "{doctor:?}"
    );
    let told = psql(&stage, "spool.sql", &[]).await;
    assert_eq!(told.column("job"), [job.to_string(), job.to_string()]);
    assert_eq!(told.column("image"), ["1", "2"]);
    assert!(told.column("worker")[0].starts_with("w1"), "{told:?}");
    assert_eq!(told.column("photos"), ["2", "2"]);
    let calls = psql(&stage, "calls.sql", &[]).await;
    assert_eq!(
        (calls.column("in_flight"), calls.column("in_spool")),
        (vec!["0"], vec!["2"])
    );
    let spend = psql(&stage, "spend.sql", &[]).await;
    assert_eq!(
        (spend.column("at_least"), spend.column("at_most")),
        (vec!["2"], vec!["2"])
    );
    let server = stage.http(&["--bind=127.0.0.1:0"]);
    let metrics = crate::harness::client()
        .get(format!("{}/metrics", server.url().await))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for line in [
        "safelight_spool_photos 2\n",
        "safelight_spools_full 0\n",
        "safelight_calls_running 0\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}
