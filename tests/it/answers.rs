//! Every answer that a provider was seen to give, once through a whole worker over HTTP: what the first
//! attempt leaves behind, and how the job ends when the answer never changes.
//!
//! Which answer means what is tabled beside the code (`classify` of each provider); here it is
//! about jobs and money. The simulator writes the answers and counts what it billed.

mod openai;
mod table;

use std::time::Duration;

use safelight::domain::Provider;
use safelight::worker::Settings;

use crate::harness::{InProcess, Stage};

use table::{Answer, answers};

/// A retryable answer is met on each attempt.
const MAX_ATTEMPTS: i32 = 3;
/// The throttle lets each process make five calls a second.
const WORKERS: usize = 3;

fn soon(settings: &mut Settings) {
    settings.poll_every = Duration::from_millis(200);
    settings.concurrency = 20;
    settings.call_timeout = Duration::from_secs(2);
    // Nobody dies here: on a loaded machine a worker that doubts whether it lives calls nothing.
    settings.rhythm.stale_after = Duration::from_secs(30);
}

impl Stage {
    /// A retry waits for [`Stage::try_again`] instead of some seconds.
    async fn retry_on_request(&self) {
        self.sql(
            r#"CREATE FUNCTION postpone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                   NEW."retryAt" := NEW."retryAt" + interval '1 hour'; RETURN NEW; END $$;
               CREATE TRIGGER postpone BEFORE UPDATE ON photo_generation_queue FOR EACH ROW
                   WHEN (OLD.status = 'processing' AND NEW.status = 'pending')
                   EXECUTE FUNCTION postpone()"#,
        )
        .await;
    }

    /// Lets every waiting job have another attempt, and waits for the end of all of them.
    async fn try_again(&self) {
        self.sql(
            r#"UPDATE photo_generation_queue SET "retryAt" = now(), "processedAt" = NULL
               WHERE status = 'pending'"#,
        )
        .await;
        self.until_all_tried().await;
    }

    /// Waits until an attempt at each job has ended.
    async fn until_all_tried(&self) {
        self.until(
            r#"SELECT bool_and(status <> 'processing' AND "processedAt" IS NOT NULL)
               FROM photo_generation_queue"#,
        )
        .await;
    }

    async fn of_job(&self, job: i64, what: &str) -> String {
        self.text(&format!(
            "SELECT {what} FROM photo_generation_queue AS job WHERE id = {job}"
        ))
        .await
    }
}

/// `status attempts code`
const JOB: &str = r#"concat_ws(' ', status, attempts, "errorCode")"#;
const IMAGE: &str = r#"(SELECT string_agg(state, ' ' ORDER BY index)
    FROM photo_generation_images WHERE "jobId" = job.id)"#;
/// `state:accepted ...`, in the order they were made. On a slow machine some are given up before that.
const CALLS: &str = r#"(SELECT string_agg(concat(state, ':', coalesce(accepted::text, '?')), ' ' ORDER BY "startedAt")
    FROM photo_generation_calls WHERE "jobId" = job.id AND "errorCode" IS DISTINCT FROM 'not_called')"#;
/// `1 call`, `2 calls`
const NUMBER_OF_CALLS: &str = r#"(SELECT concat(count(*), CASE count(*) WHEN 1 THEN ' call' ELSE ' calls' END)
    FROM photo_generation_calls WHERE "jobId" = job.id AND "errorCode" IS DISTINCT FROM 'not_called')"#;

#[tokio::test]
async fn every_answer_is_what_the_contract_says() {
    let stage = Stage::new().await;

    let jobs = play(&stage, Provider::Gemini, answers()).await;

    check_pictures(
        &stage,
        &jobs,
        &[
            ("slow=0s", "128 128 image/png .png"),
            ("thoughts", "128 128 image/png .png"),
            ("only-thought", "128 128 image/png .png"),
            ("wrongmime", "128 128 image/jpeg .jpg"),
            ("wrongratio", "128 64 image/png .png"),
        ],
    )
    .await;
}

/// A job for each answer, worked until nothing is tried any more.
async fn play(stage: &Stage, provider: Provider, answers: Vec<Answer>) -> Vec<(i64, Answer)> {
    stage.retry_on_request().await;
    let mut jobs = Vec::new();
    for answer in answers {
        // Prompts of their own, because the simulator counts the calls of each.
        let prompt = format!("lake number {} [sim:{}]", jobs.len(), answer.fault);
        jobs.push((stage.job(&prompt, 1).await, answer));
    }
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_queue SET "maxAttempts" = {MAX_ATTEMPTS}"#
        ))
        .await;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(stage.worker_of(provider, soon).await);
    }
    stage.until_all_tried().await;

    for (job, answer) in &jobs {
        let fault = &answer.fault;
        assert_eq!(stage.of_job(*job, JOB).await, answer.first, "{fault}");
        assert_eq!(stage.of_job(*job, IMAGE).await, answer.image, "{fault}");
        assert_eq!(stage.of_job(*job, CALLS).await, answer.call, "{fault}");
        let said = stage.of_job(*job, r#""errorMessage""#).await;
        assert!(said.contains(&answer.says), "{fault}: {said}");
        assert_eq!(said.is_empty(), answer.says.is_empty(), "{fault}: {said}");
    }
    stage.assert_equation().await;

    for _ in 1..MAX_ATTEMPTS {
        stage.try_again().await;
    }

    let end = format!("concat({JOB}, ', ', {NUMBER_OF_CALLS})");
    for (job, answer) in &jobs {
        let fault = &answer.fault;
        assert_eq!(stage.of_job(*job, &end).await, answer.end, "{fault}");
    }
    // Zero stored images is never completed, and every error has a sentence for people.
    let without = r#"SELECT count(*) FROM photo_generation_queue
        WHERE (status = 'completed') <> ("imagesCompleted" > 0)
           OR (status = 'completed') <> ("errorMessage" IS NULL)"#;
    assert_eq!(stage.number(without).await, 0, "{}", stage.dump().await);
    // None of these is the account's fault.
    assert_eq!(limits(stage, provider).await, "");
    let called = r#"SELECT count(*) FROM photo_generation_calls
        WHERE "errorCode" IS DISTINCT FROM 'not_called'"#;
    stage.assert_sound(stage.number(called).await).await;
    stop_all(workers).await;
    jobs
}

/// Measured and named by the bytes, whatever was asked for and declared; of drafts nothing is left.
async fn check_pictures(stage: &Stage, jobs: &[(i64, Answer)], expected: &[(&str, &str)]) {
    let picture = r#"(SELECT concat_ws(' ', width, height, "mimeType", right("storageKey", 4))
        FROM photo_generation_images WHERE "jobId" = job.id)"#;
    for (fault, expected) in expected {
        let (job, _) = jobs
            .iter()
            .find(|(_, answer)| answer.fault == *fault)
            .unwrap();
        assert_eq!(stage.of_job(*job, picture).await, *expected, "{fault}");
    }
}

/// What the limits say of the model: the reason's code, and until when nothing passes.
async fn limits(stage: &Stage, provider: Provider) -> String {
    let model = provider.default_model();
    stage
        .text(&format!(
            r#"SELECT string_agg(concat_ws(' ', split_part(reason, ':', 1),
                   CASE WHEN "cooldownUntil" = photo_generation_next_quota_day() THEN 'until the next quota day'
                        WHEN "cooldownUntil" > now() THEN 'cools down' END,
                   CASE WHEN "blockedUntil" > now() + interval '4 minutes' THEN 'blocked' END), ', ')
               FROM photo_generation_limits WHERE reason IS NOT NULL AND model = '{model}'"#
        ))
        .await
}

async fn stop_all(workers: Vec<InProcess>) {
    for worker in workers {
        worker.stop().await;
    }
}

/// What the account must wait for or a person must mend: the fault, the job, its calls, and what the
/// fleet knows then. The job waits, nothing is counted, nothing is paid.
const LIMITED: [(&str, &str, &str, &str); 13] = [
    // Waited out: the stated fraction of a second, or half a second where none is stated.
    ("429@1", "completed 0", "limited:false stored:true", ""),
    (
        "429-array@1 wait=1.5s",
        "completed 0",
        "limited:false stored:true",
        "",
    ),
    ("429-bare@1", "completed 0", "limited:false stored:true", ""),
    (
        "429-bare",
        "rate_limited 0 rate_limited",
        "limited:false limited:false limited:false limited:false",
        "cooldown cools down",
    ),
    (
        "429 wait=90.25s",
        "rate_limited 0 rate_limited",
        "limited:false",
        "cooldown cools down",
    ),
    (
        "429-array wait=90s",
        "rate_limited 0 rate_limited",
        "limited:false",
        "cooldown cools down",
    ),
    (
        "daily",
        "rate_limited 0 daily_quota",
        "limited:false",
        "daily_quota until the next quota day",
    ),
    (
        "limit0",
        "pending 0",
        "limited:false",
        "not_on_plan blocked",
    ),
    ("badkey", "pending 0", "limited:false", "bad_key blocked"),
    ("401", "pending 0", "limited:false", "bad_key blocked"),
    ("403", "pending 0", "limited:false", "bad_key blocked"),
    (
        "nocredit",
        "pending 0",
        "limited:false",
        "no_credit blocked",
    ),
    ("gone", "pending 0", "limited:false", "model_gone blocked"),
];

#[tokio::test]
async fn a_limit_stops_the_account_and_costs_the_job_nothing() {
    for row in LIMITED {
        check_limit(Provider::Gemini, row).await;
    }
}

async fn check_limit(
    provider: Provider,
    (fault, expected, calls, known): (&str, &str, &str, &str),
) {
    let stage = Stage::new().await;
    let worker = stage.worker_of(provider, soon).await;
    let job = stage.job(&format!("a lake [sim:{fault}]"), 1).await;

    // All in one look: a cooldown passes.
    let seen = format!("concat({JOB}, '|', {CALLS})");
    let wanted = format!("{expected}|{calls}");
    stage
        .until(&format!(
            r#"SELECT {seen} = '{wanted}' AND "processedAt" IS NOT NULL
               FROM photo_generation_queue AS job WHERE id = {job}"#
        ))
        .await;

    if known.is_empty() {
        // The success is told to the fleet after it is recorded.
        let forgotten =
            "SELECT NOT EXISTS (SELECT FROM photo_generation_limits WHERE reason IS NOT NULL)";
        stage.until(forgotten).await;
    } else {
        assert_eq!(limits(&stage, provider).await, known, "{fault}");
    }
    let image = if known.is_empty() {
        "stored"
    } else {
        "planned"
    };
    assert_eq!(stage.of_job(job, IMAGE).await, image, "{fault}");
    let count = i64::try_from(calls.split(' ').count()).unwrap();
    stage.assert_sound(count).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_stated_wait_is_kept_to_its_fraction() {
    for (fault, at_least_ms) in [("429@1", 3299), ("429-array@1 wait=1.5s", 1500)] {
        check_wait(Provider::Gemini, fault, at_least_ms).await;
    }
}

async fn check_wait(provider: Provider, fault: &str, at_least_ms: u64) {
    let stage = Stage::new().await;
    let worker = stage.worker_of(provider, soon).await;
    stage.job(&format!("a lake [sim:{fault}]"), 1).await;

    stage.until_all_ended().await;

    let log = stage.simulator.log();
    let waited = log[1].received_at_ms - log[0].received_at_ms;
    assert!(waited >= at_least_ms, "{fault}: {waited} ms");
    worker.stop().await;
}
