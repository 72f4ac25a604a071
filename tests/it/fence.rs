//! A worker that lost its lease writes nothing, in any table.
//!
//! One barrier test per fenced statement: it is seen waiting for the job's row, the job changes
//! hands meanwhile, and what the statement then does is compared with the tables row by row.

use std::time::Duration;

use safelight::db::lease::{self, Counted, GiveBack};
use safelight::db::ledger::{
    self, CallState, EndedCall, Lost, NewCall, OrphanedCall, StoredPicture,
};
use safelight::db::{Db, DbError, Lease, sweep, workers};
use safelight::domain::failure::{Failure, Usage};
use safelight::domain::outcome::Resume;
use safelight::domain::{ClaimedJob, ImageState, Model};
use safelight::worker::Rhythm;
use uuid::Uuid;

use crate::harness::{Holder, MODEL, Stage, photograph};

mod by_hand;

/// The runbook's UPDATE, for one row.
const RELEASED: &str = r#"UPDATE photo_generation_queue
    SET "lockedBy" = NULL, "lockedAt" = NULL, status = 'pending' WHERE id = $job"#;

/// How a job changes hands while somebody's statement waits for its row.
const CHANGES: [(&str, &[&str]); 6] = [
    (
        "canceled",
        &["UPDATE photo_generation_queue SET status = 'canceled' WHERE id = $job"],
    ),
    ("released by the runbook", &[RELEASED]),
    (
        "claimed by another run",
        &[
            RELEASED,
            r#"UPDATE photo_generation_queue SET status = 'processing',
               run = gen_random_uuid(), "lockedBy" = 'other' WHERE id = $job"#,
        ],
    ),
    (
        "taken by a program of the old kind",
        &[
            RELEASED,
            r#"UPDATE photo_generation_queue SET status = 'processing', "lockedBy" = 'edge-1'
               WHERE id = $job"#,
        ],
    ),
    (
        "given to somebody else",
        &[r#"UPDATE photo_generation_queue SET "lockedBy" = 'somebody' WHERE id = $job"#],
    ),
    (
        "deleted",
        &["DELETE FROM photo_generation_queue WHERE id = $job"],
    ),
];

/// A job that is held, and how far it has come.
struct Held {
    holder: Holder,
    lease: Lease,
    job: ClaimedJob,
    call: Uuid,
}

impl Held {
    /// Claims a job of two images that belongs to a batch.
    async fn claimed(stage: &Stage) -> Self {
        let holder = stage.holder("the first").await;
        stage
            .sql(
                r#"WITH batch AS (INSERT INTO photo_generation_batches DEFAULT VALUES RETURNING id)
                   INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "batchId")
                   SELECT 'a lake', 2, id FROM batch"#,
            )
            .await;
        let (lease, job) = holder.claim().await;
        Self {
            holder,
            lease,
            job,
            call: Uuid::new_v4(),
        }
    }

    async fn planned(stage: &Stage) -> Self {
        let held = Self::claimed(stage).await;
        held.plan().await.unwrap();
        held
    }

    async fn calling(stage: &Stage) -> Self {
        let held = Self::planned(stage).await;
        held.call().await.unwrap();
        held
    }

    fn db(&self) -> &Db {
        &self.holder.db
    }

    async fn plan(&self) -> Result<(), DbError> {
        ledger::plan(self.db(), &self.lease, 2).await.map(drop)
    }

    async fn call(&self) -> Result<(), DbError> {
        let call = NewCall {
            id: self.call,
            target: safelight::domain::Target::Image(1),
            run: self.holder.claimer.run,
            tenant: &self.job.tenant,
            accounts: &["default".to_owned()],
            model: &Model::from_name(MODEL).unwrap(),
            deadline: Duration::from_mins(3),
        };
        ledger::calling(self.db(), &self.lease, &call)
            .await
            .map(drop)
    }

    async fn stored(&self) -> Result<(), DbError> {
        let usage = Usage::default();
        ledger::stored(self.db(), &self.lease, self.call, &picture(), usage, None).await
    }

    async fn ended(&self, state: CallState, image: Option<ImageState>) -> Result<(), DbError> {
        let end = EndedCall {
            state,
            accepted: None,
            image,
            failure: &failure(),
            provider_request_id: None,
        };
        ledger::ended(self.db(), &self.lease, self.call, &end)
            .await
            .map(drop)
    }

    async fn finish(&self) -> Result<(), DbError> {
        lease::finish(self.db(), &self.lease, Counted::Yes, Some(&failure()))
            .await
            .map(drop)
    }

    async fn give_back(&self, why: GiveBack<'_>) -> Result<(), DbError> {
        lease::give_back(self.db(), &self.lease, why).await
    }

    fn orphan(&self) -> OrphanedCall {
        OrphanedCall {
            id: self.call,
            job: self.job.id,
            lease: self.lease.token(),
            job_uuid: self.job.job_id,
            index: Some(1),
            step: None,
            tenant: self.job.tenant.as_str().to_owned(),
            attempt: 1,
            account: "default".to_owned(),
            model: MODEL.to_owned(),
            spool: None,
        }
    }
}

fn failure() -> Failure {
    Failure::retry("test", "Something went wrong.")
}

fn picture() -> StoredPicture {
    StoredPicture {
        key: "none/x/1.png".to_owned(),
        call: Uuid::new_v4(),
        url: None,
        mime: "image/png",
        bytes: 1,
        width: 1,
        height: 1,
        sha256: "00".to_owned(),
    }
}

/// Runs a statement of a holder into each change of hands.
async fn check(
    prepare: impl AsyncFn(&Stage) -> Held,
    statement: impl AsyncFn(&Held) -> Result<(), DbError>,
) {
    for (change, by) in CHANGES {
        let stage = Stage::new().await;
        let held = prepare(&stage).await;

        let (result, before) = into(&stage, &held, by, statement(&held)).await;

        assert!(
            matches!(result, Err(DbError::LeaseLost)),
            "{change}: {result:?}"
        );
        assert_eq!(stage.photograph().await, before, "{change}");
    }
}

/// Lets a statement wait while the job changes hands; returns what it said and what the tables
/// said just before it went on.
async fn into<T: std::fmt::Debug>(
    stage: &Stage,
    held: &Held,
    change: &[&str],
    statement: impl Future<Output = T>,
) -> (T, String) {
    let mut operator = stage.pool.begin().await.unwrap();
    for sql in change {
        let sql = sql.replace("$job", &held.job.id.to_string());
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut *operator)
            .await
            .unwrap();
    }
    let mut statement = std::pin::pin!(statement);
    tokio::select! {
        result = &mut statement => panic!("it did not wait for the job's row: {result:?}"),
        () = stage.until_waiting(1) => {}
    }
    let before = photograph(&mut operator).await;
    operator.commit().await.unwrap();
    (statement.await, before)
}

#[tokio::test]
async fn plan_writes_nothing_for_a_lost_lease() {
    check(Held::claimed, Held::plan).await;
}

#[tokio::test]
async fn calling_is_the_last_gate_before_money() {
    check(Held::planned, Held::call).await;
}

#[tokio::test]
async fn stored_writes_nothing_for_a_lost_lease() {
    check(Held::calling, Held::stored).await;
}

#[tokio::test]
async fn ended_writes_nothing_for_a_lost_lease() {
    let refused = async |held: &Held| {
        held.ended(CallState::Refused, Some(ImageState::Refused))
            .await
    };
    let ambiguous = async |held: &Held| held.ended(CallState::Ambiguous, None).await;

    check(Held::calling, refused).await;
    check(Held::calling, ambiguous).await;
}

#[tokio::test]
async fn finish_writes_nothing_for_a_lost_lease() {
    Box::pin(check(Held::planned, Held::finish)).await;
}

#[tokio::test]
async fn give_back_writes_nothing_for_a_lost_lease() {
    let released = async |held: &Held| held.give_back(GiveBack::Released(Resume::Now)).await;
    let retried = async |held: &Held| {
        let failure = failure();
        held.give_back(GiveBack::Retry(&failure, Duration::from_secs(8)))
            .await
    };

    check(Held::claimed, released).await;
    check(Held::claimed, retried).await;
}

#[tokio::test]
async fn a_job_that_changed_hands_is_neither_renewed_nor_owned() {
    for (change, by) in CHANGES {
        let stage = Stage::new().await;
        let held = Held::claimed(&stage).await;
        let run = held.holder.claimer.run;
        assert_eq!(workers::owned(held.db(), run).await.unwrap().len(), 1);

        // It never waits for a lock, so the change is there before it.
        for sql in by {
            stage
                .sql(&sql.replace("$job", &held.job.id.to_string()))
                .await;
        }
        let before = stage.photograph().await;

        workers::touch(held.db(), run).await.unwrap();

        assert_eq!(stage.photograph().await, before, "{change}");
        assert_eq!(held.holder.renew().await, [], "{change}");
        assert_eq!(
            workers::owned(held.db(), run).await.unwrap(),
            [],
            "{change}"
        );
    }
}

#[tokio::test]
async fn a_call_of_a_dead_lease_is_left_to_the_attempt_that_claimed_the_job_meanwhile() {
    for found in [None, Some(picture())] {
        let stage = Stage::new().await;
        let held = Held::calling(&stage).await;
        stage
            .sql(&RELEASED.replace("$job", &held.job.id.to_string()))
            .await;
        let orphan = held.orphan();
        let settle = ledger::settle_orphan(held.db(), &orphan, found.as_ref(), Lost::Worker);

        let (settled, before) = into(&stage, &held, &CHANGES[2].1[1..], settle).await;

        assert!(!settled.unwrap());
        assert_eq!(stage.photograph().await, before);
        assert!(
            ledger::settle_orphan(held.db(), &orphan, None, Lost::Worker)
                .await
                .is_ok_and(|by_us| !by_us)
        );
    }
}

#[tokio::test]
async fn a_call_is_settled_once() {
    let stage = Stage::new().await;
    let held = Held::calling(&stage).await;
    stage
        .sql("UPDATE photo_generation_queue SET status = 'canceled'")
        .await;
    let orphan = held.orphan();
    assert!(
        ledger::settle_orphan(held.db(), &orphan, None, Lost::Worker)
            .await
            .unwrap()
    );
    let settled = stage.photograph().await;

    let again = ledger::settle_orphan(held.db(), &orphan, Some(&picture()), Lost::Worker).await;

    assert!(!again.unwrap());
    assert_eq!(stage.photograph().await, settled);
}

/// The sweep looks which jobs are lost, and only then locks them. Between the two the job is given
/// back and claimed by a worker that lives: made certain by a view that waits where the sweep
/// reads which workers there are.
#[tokio::test]
async fn reclaim_leaves_a_job_that_was_claimed_again_while_it_looked() {
    let stage = Stage::new().await;
    let held = Held::claimed(&stage).await;
    let other = stage.holder("the second").await;
    other.renew().await;
    let stale = Duration::from_millis(1);
    stage
        .sql(&format!(
            "DELETE FROM photo_generation_workers WHERE run = '{run}';
               ALTER TABLE photo_generation_workers RENAME TO workers;
               CREATE FUNCTION waits() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
                   PERFORM pg_advisory_xact_lock(1); RETURN true; END $$;
               CREATE VIEW photo_generation_workers AS
                   SELECT * FROM (SELECT * FROM workers WHERE waits() OFFSET 0) AS all_of_them;",
            run = held.holder.claimer.run
        ))
        .await;
    let db = stage.db().await;

    let taken = [
        "SELECT pg_advisory_xact_lock(1)".to_owned(),
        RELEASED.to_owned(),
        format!(
            r#"UPDATE photo_generation_queue SET status = 'processing', run = '{}',
               "lockedBy" = 'the second', "lockedAt" = now() WHERE id = $job"#,
            other.claimer.run
        ),
    ];
    let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
    let (lost, before) = into(&stage, &held, &taken, sweep::reclaim(&db, &[], stale)).await;

    assert_eq!(lost.unwrap(), []);
    assert_eq!(stage.photograph().await, before);
}

#[tokio::test]
async fn a_full_row_save_rewinds_no_lease() {
    let stage = Stage::new().await;
    let held = Held::planned(&stage).await;
    let saved = "UPDATE photo_generation_queue SET (status, lease) = ($status, $lease)";
    let save = async |status: &str, lease: i64| {
        let sql = saved
            .replace("$status", &format!("'{status}'"))
            .replace("$lease", &lease.to_string());
        stage.sql(&sql).await;
    };

    save("processing", 0).await;
    held.call().await.unwrap();
    save("pending", 0).await;
    let (second, _) = stage.holder("the second").await.claim().await;
    save("processing", held.lease.token()).await;

    assert!(second.token() > held.lease.token());
    assert!(matches!(held.stored().await, Err(DbError::LeaseLost)));
    assert_eq!(
        stage
            .number("SELECT lease FROM photo_generation_queue")
            .await,
        second.token()
    );
}

/// Too slow to notice by itself that a job is no longer its own.
fn blind(rhythm: &mut Rhythm) {
    rhythm.watch_every = Duration::from_mins(10);
    rhythm.renew_every = Duration::from_mins(10);
    rhythm.stale_after = Duration::from_mins(30);
}
