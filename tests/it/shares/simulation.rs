//! A provider, its time and its workers' places, simulated: only the queue is real.
//!
//! The statements are those of production: [`lease::claim`] chooses, and calls are settled in the ledger,
//! from where they are charged. Nothing waits and nothing is drawn by lot, so a run comes out the same
//! each time. What it shows must be the claim's doing: the same run with claims in order of age,
//! [`Policy::Fifo`], has to fail.

use std::collections::{BTreeMap, BinaryHeap};

use safelight::db::lease::{self, Window};
use uuid::Uuid;

use crate::harness::{Holder, MODEL, Stage};

/// Who chooses the next job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Shares,
    /// What a plain queue does, for comparison.
    Fifo,
}

pub(super) struct Simulation {
    stage: Stage,
    holder: Holder,
    policy: Policy,
    free: usize,
    /// Milliseconds since the beginning.
    now: u64,
    /// Calls that will end, the next one first.
    ends: BinaryHeap<std::cmp::Reverse<End>>,
    /// Milliseconds of the provider's time by tenant.
    pub(super) used: BTreeMap<String, u64>,
    /// Tenants in the order in which their jobs began.
    pub(super) began: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    at: u64,
    job: i64,
    left: i64,
    call: Uuid,
    tenant: String,
    takes: u64,
}

impl Simulation {
    /// With so many places for jobs, each of which makes its calls one after the other.
    pub(super) async fn new(places: usize, policy: Policy) -> Self {
        let stage = Stage::new().await;
        stage.without_cap().await;
        // What one process may do by itself is not what this is about.
        stage
            .sql(r#"UPDATE photo_generation_limits SET "minIntervalMs" = 0"#)
            .await;
        Self {
            holder: stage.holder("a worker").await,
            stage,
            policy,
            free: places,
            now: 0,
            ends: BinaryHeap::new(),
            used: BTreeMap::new(),
            began: Vec::new(),
        }
    }

    /// Jobs of a user, `seconds` being what each of their calls will take.
    pub(super) async fn insert(
        &self,
        user: &str,
        jobs: u32,
        images: u32,
        seconds: f64,
        priority: &str,
    ) {
        self.stage
            .sql(&format!(
                r#"INSERT INTO photo_generation_queue
                       ("basePrompt", "userId", "numImagesPerExample", priority, metadata)
                   SELECT 'a lake', '{user}', {images}, '{priority}',
                          jsonb_build_object('milliseconds', {seconds} * 1000)
                   FROM generate_series(1, {jobs})"#
            ))
            .await;
    }

    /// Jobs of one image, of six seconds each.
    pub(super) async fn insert_on(&self, model: &str, user: &str, jobs: u32) {
        self.stage
            .sql(&format!(
                r#"INSERT INTO photo_generation_queue
                       ("basePrompt", "userId", "numImagesPerExample", model, metadata)
                   SELECT 'a lake', '{user}', 1, '{model}', '{{"milliseconds": 6000}}'
                   FROM generate_series(1, {jobs})"#
            ))
            .await;
    }

    pub(super) async fn pause(&self, user: &str) {
        self.stage
            .sql(&format!(
                "INSERT INTO photo_generation_pauses (what, name) VALUES ('tenant', 'user:{user}')"
            ))
            .await;
    }

    pub(super) async fn resume(&self, user: &str) {
        self.stage
            .sql(&format!(
                "DELETE FROM photo_generation_pauses WHERE name = 'user:{user}'"
            ))
            .await;
    }

    /// Works until this moment, in seconds since the beginning.
    pub(super) async fn run_until(&mut self, seconds: u64) {
        self.claim().await;
        while let Some(std::cmp::Reverse(end)) = self.ends.peek().cloned() {
            if end.at > seconds * 1000 {
                break;
            }
            self.ends.pop();
            self.now = end.at;
            self.end_call(end).await;
            self.claim().await;
        }
        self.now = seconds * 1000;
    }

    async fn claim(&mut self) {
        if self.free == 0 {
            return;
        }
        self.holder.renew().await;
        let jobs = match self.policy {
            Policy::Shares => {
                let claimed = lease::claim(
                    &self.holder.db,
                    &self.holder.claimer,
                    self.free,
                    Window::Usual,
                    &[],
                )
                .await
                .unwrap();
                claimed.iter().map(|(lease, _)| lease.job()).collect()
            }
            Policy::Fifo => self.claim_the_oldest().await,
        };
        self.free -= jobs.len();
        for job in jobs {
            let (tenant, images, takes): (String, i64, i64) = sqlx::query_as(
                r#"SELECT "userId", "numImagesPerExample"::bigint,
                          (metadata ->> 'milliseconds')::numeric::bigint
                   FROM photo_generation_queue WHERE id = $1"#,
            )
            .bind(job)
            .fetch_one(&self.stage.pool)
            .await
            .unwrap();
            self.began.push(tenant.clone());
            let takes = u64::try_from(takes).unwrap();
            self.begin_call(job, images, tenant, takes).await;
        }
    }

    async fn claim_the_oldest(&self) -> Vec<i64> {
        sqlx::query_scalar(
            "UPDATE photo_generation_queue SET status = 'processing' WHERE id IN (
                 SELECT id FROM photo_generation_queue WHERE status = 'pending'
                 ORDER BY \"createdAt\", id LIMIT $1)
             RETURNING id",
        )
        .bind(i64::try_from(self.free).unwrap())
        .fetch_all(&self.stage.pool)
        .await
        .unwrap()
    }

    async fn begin_call(&mut self, job: i64, left: i64, tenant: String, takes: u64) {
        let call = Uuid::new_v4();
        sqlx::query(
            r#"INSERT INTO photo_generation_calls
                   (id, "jobId", "jobUuid", tenant, index, lease, run, attempt, provider, account, model,
                    "startedAt", "deadlineAt")
               SELECT $1, $2, $1, 'user:' || $3, $4, 1, $1, 1, 'gemini', 'default', coalesce(model, $5),
                      to_timestamp($6), to_timestamp($6 + 600)
               FROM photo_generation_queue WHERE id = $2"#,
        )
        .bind(call)
        .bind(job)
        .bind(&tenant)
        .bind(i32::try_from(left).unwrap())
        .bind(MODEL)
        .bind(as_seconds(self.now))
        .execute(&self.stage.pool)
        .await
        .unwrap();
        self.ends.push(std::cmp::Reverse(End {
            at: self.now + takes,
            job,
            left: left - 1,
            call,
            tenant,
            takes,
        }));
    }

    async fn end_call(&mut self, end: End) {
        sqlx::query(
            r#"UPDATE photo_generation_calls
               SET state = 'stored', accepted = true, "endedAt" = to_timestamp($2) WHERE id = $1"#,
        )
        .bind(end.call)
        .bind(as_seconds(self.now))
        .execute(&self.stage.pool)
        .await
        .unwrap();
        *self.used.entry(end.tenant.clone()).or_default() += end.takes;
        let ends_job = end.left == 0;
        sqlx::query(
            r#"UPDATE photo_generation_queue
               SET "imagesCompleted" = "imagesCompleted" + 1,
                   status = CASE WHEN $2 THEN 'completed' ELSE status END
               WHERE id = $1"#,
        )
        .bind(end.job)
        .bind(ends_job)
        .execute(&self.stage.pool)
        .await
        .unwrap();
        if ends_job {
            self.free += 1;
        } else {
            self.begin_call(end.job, end.left, end.tenant, end.takes)
                .await;
        }
    }

    /// How much more of the provider's time the first had than the second.
    pub(super) fn ratio(&self, one: &str, other: &str) -> f64 {
        let used = |tenant| as_seconds(self.used.get(tenant).copied().unwrap_or(0));
        used(one) / used(other)
    }
}

fn as_seconds(milliseconds: u64) -> f64 {
    f64::from(u32::try_from(milliseconds).unwrap()) / 1000.0
}
