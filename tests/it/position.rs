//! What people are told of a job's turn is what a claim then does.

use safelight::db::jobs;
use safelight::db::lease::{self, Window};
use safelight::domain::JobId;

use crate::harness::{Holder, MODEL, Stage};
use crate::ops::psql::psql;

/// Tenants of all sorts, who had more or less before: some with many jobs, urgent ones and batches,
/// retries that are due, the default model by its name, another type; and one of another model.
const JOBS: &str = r#"
INSERT INTO photo_generation_queue
    (id, "userId", "teamId", "numImagesPerExample", "imagesTotal", "imagesCompleted", priority, type, model, "createdAt", "retryAt")
SELECT n, user_id, team_id, images, images, made, priority, type, model, now() - age, retry
FROM (VALUES
    (1, '1', NULL, 4, 0, 'normal', NULL, NULL, interval '9 min', NULL),
    (2, '1', NULL, 2, 0, 'normal', NULL, NULL, interval '8 min', NULL),
    (3, '1', NULL, 3, 0, 'urgent', NULL, NULL, interval '7 min', NULL),
    (4, '1', NULL, 4, 0, 'batch', NULL, NULL, interval '6 min', NULL),
    (5, '1', NULL, 1, 0, 'normal', NULL, 'gemini-2.5-flash-image', interval '5 min', NULL),
    (6, '1', NULL, 4, 0, 'normal', NULL, NULL, interval '4 min', NULL),
    (7, '2', NULL, 4, 0, 'normal', NULL, NULL, interval '9 min', NULL),
    (8, '2', NULL, 4, 3, 'normal', NULL, NULL, interval '9 min', now() - interval '1 s'),
    (9, '2', NULL, 4, 0, 'normal', 'image_edit', NULL, interval '3 min', NULL),
    (10, '2', NULL, 4, 0, 'normal', NULL, NULL, interval '3 min', now() + interval '1 hour'),
    (11, NULL, '1', 1, 0, 'urgent', NULL, NULL, interval '2 min', NULL),
    (12, NULL, '1', 1, 0, 'urgent', NULL, NULL, interval '2 min', NULL),
    (13, NULL, '1', 8, 0, 'urgent', NULL, NULL, interval '1 min', NULL),
    (14, NULL, '1', 1, 0, 'normal', NULL, NULL, interval '1 min', NULL),
    (15, NULL, NULL, 4, 0, 'normal', NULL, NULL, interval '1 min', NULL),
    (16, '3', NULL, 1, 0, 'normal', NULL, NULL, interval '0', NULL),
    (17, '3', NULL, 100, 0, 'normal', NULL, NULL, interval '0', NULL),
    (18, '3', NULL, 1, 0, 'normal', NULL, NULL, interval '0', NULL),
    (19, '4', NULL, 1, 0, 'normal', NULL, 'gemini-3-pro-image', interval '1 day', NULL)
) AS job (n, user_id, team_id, images, made, priority, type, model, age, retry);
INSERT INTO photo_generation_settings (key, value) VALUES ('tenantMaxRunning', '0')"#;

impl Holder {
    /// Claims so many jobs one by one, or all that are due.
    async fn claim_in_order(&self, most: usize) -> Vec<JobId> {
        let mut order = Vec::new();
        while order.len() < most {
            self.renew().await;
            let claimed = lease::claim(&self.db, &self.claimer, 1, Window::Usual, &[]);
            match claimed.await.unwrap().pop() {
                Some((lease, _)) => order.push(lease.job()),
                None => break,
            }
        }
        order
    }
}

/// How many jobs are said to begin before each that is due.
async fn positions(holder: &Holder) -> Vec<(i64, JobId)> {
    let mut positions = Vec::new();
    for job in 1..19 {
        if let Some(standing) = jobs::standing(&holder.db, job).await.unwrap() {
            positions.push((standing.jobs_before, job));
        }
    }
    positions.sort_unstable();
    positions
}

fn numbered(order: &[JobId]) -> Vec<(i64, JobId)> {
    (0..).zip(order.iter().copied()).collect()
}

#[tokio::test]
async fn jobs_begin_in_the_order_that_their_positions_tell() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    stage.sql(JOBS).await;

    // While no worker has looked since they came, and then while some run; the oldest is of another model.
    let first = positions(&holder).await;
    let mut order = holder.claim_in_order(4).await;
    stage
        .sql(
            r#"UPDATE photo_generation_shares SET "virtualTime" = "virtualTime" + 40
               WHERE tenant IN ('team:1', 'user:2')"#,
        )
        .await;
    let then = positions(&holder).await;
    let listed = psql(&stage, "waiting.sql", &["rows=50"]).await;
    order.extend(holder.claim_in_order(usize::MAX).await);

    order.retain(|job| *job != 19);
    assert_eq!(order.len(), 17, "{order:?}");
    assert_eq!(first[..3], numbered(&order)[..3]);
    let rest = &order[3..];
    assert_eq!(then, numbered(rest));
    let listed = listed.rows(&[("may_start", "now"), ("model", MODEL)]);
    let listed: Vec<_> = listed.iter().map(|row| row["id"].to_owned()).collect();
    let rest: Vec<_> = rest.iter().map(ToString::to_string).collect();
    assert_eq!(listed, rest);
}

/// Of more tenants than are looked at one by one, and of more jobs, it knows about how many.
#[tokio::test]
async fn of_many_tenants_and_jobs_it_tells_about_how_many() {
    let stage = Stage::new().await;
    let holder = stage.holder("a worker").await;
    // The first inserted is the oldest; each tenant has two jobs of two images.
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue (id, "userId", "numImagesPerExample", "createdAt")
               SELECT n, n % 1000, 2, now() - interval '1 hour' + n * interval '1 ms'
               FROM generate_series(0, 1999) AS n;
               INSERT INTO photo_generation_queue (id, "teamId", "numImagesPerExample")
               SELECT n, 'large', 2 FROM generate_series(10000, 13000) AS n"#,
        )
        .await;
    let about = async |job: JobId| {
        let standing = jobs::standing(&holder.db, job).await.unwrap().unwrap();
        (standing.jobs_before, standing.or_more)
    };

    // The last to come, with nothing before it of its own: behind the first jobs of all.
    let (jobs, more) = about(10_000).await;
    assert!((900..=1100).contains(&jobs) && !more, "{jobs}");
    // Of the others there are two each, however many would fit.
    let (jobs, more) = about(10_100).await;
    assert!((1900..=2300).contains(&jobs) && !more, "{jobs}");
    let (jobs, more) = about(13_000).await;
    assert!((2800..=3200).contains(&jobs) && more, "{jobs}");
    // In the middle of the first round: half of the others are before it.
    let (jobs, more) = about(500).await;
    assert!((350..=650).contains(&jobs) && !more, "{jobs}");
}

#[tokio::test]
async fn show_tells_what_is_known_of_a_jobs_turn_and_no_more() {
    let stage = Stage::new().await;
    for prompt in ["a lake", "a wood", "a hill"] {
        stage.job(prompt, 2).await;
    }
    let next = async || {
        let answer = stage.safelight(&["show", "3"]).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        let (_, next) = answer.stdout.split_once("\nNext\n").unwrap();
        next.to_owned()
    };
    let told = async |expected: &str| {
        let next = next().await;
        assert!(next.contains(expected), "{expected}\n{next}");
    };

    // Nobody knows yet which model it is for.
    told("It is due, and waits for a worker").await;
    drop(stage.holder("a worker").await);
    told("About 2 jobs of its model begin before it; how long that takes nobody knows").await;

    // A picture every two seconds for the last minute.
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_calls
                   (id, "jobId", "jobUuid", tenant, index, lease, run, attempt, provider, account,
                    model, state, accepted, "startedAt", "endedAt", "deadlineAt")
               SELECT gen_random_uuid(), 0, gen_random_uuid(), 'user:8', 1, 1, gen_random_uuid(), 1,
                      'gemini', 'default', '{MODEL}', 'stored', true, at, at, at
               FROM generate_series(now() - interval '1 minute', now(), interval '2 s') AS at"#
        ))
        .await;
    told("begin before it; at the present pace that is some 10 seconds.").await;

    stage
        .sql(r#"UPDATE photo_generation_limits SET "requestsPerDay" = 20"#)
        .await;
    told("Its model takes no calls for").await;
    told("the day's calls are used up.").await;
    stage
        .sql(
            r#"UPDATE photo_generation_limits SET "requestsPerDay" = NULL;
               INSERT INTO photo_generation_tenants (tenant, "maxRunning") VALUES ('user:7', 1);
               UPDATE photo_generation_queue SET status = 'processing' WHERE id = 1"#,
        )
        .await;
    told("One job of its model begins before it").await;
    told("user:7 may run one job at a time, and one is running").await;

    let paused = stage
        .safelight(&["pause", "tenant", "user:7", "--reason", "the bill"])
        .await;
    assert_eq!(paused.code, 0, "{paused:?}");
    told("Its tenant, user:7, was paused by an operator just now (the bill). To go on: safelight resume tenant user:7").await;
    assert!(!next().await.contains("It is due"));
}
