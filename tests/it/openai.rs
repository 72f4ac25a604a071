//! Two providers in one queue: who works what, and what becomes of the rest.

use std::time::Duration;

use futures_util::future::join_all;
use safelight::domain::{Model, Provider};
use safelight::providers::simulator::{CallRecord, Fault, PushedFault, Quota};
use serde_json::json;

use crate::harness::{InProcess, OddHost, Stage, count};

/// The account takes no calls, and its job is back.
const BLOCKED: &str = r#"SELECT EXISTS (SELECT FROM photo_generation_limits WHERE "blockedUntil" > now())
    AND NOT EXISTS (SELECT FROM photo_generation_queue WHERE status = 'processing')"#;

impl Stage {
    /// The next call is refused, those after it are not.
    fn without_credit_once(&self) {
        self.simulator.push_fault(PushedFault {
            fault: "nocredit".parse::<Fault>().unwrap(),
            matching: String::new(),
            times: 1,
        });
    }

    /// Inserts a job of one image with these columns; returns its id.
    async fn job_with(&self, columns: &str, values: &str) -> i64 {
        let insert = format!(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", {columns})
               VALUES ('a lake', 1, {values}) RETURNING id"#
        );
        sqlx::query_scalar(sqlx::AssertSqlSafe(insert))
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Two workers of OpenAI's, which takes so many calls in a minute of this length.
    async fn two_with_quota(&self, per_window: u32, window_ms: u64) -> Vec<InProcess> {
        self.without_cap().await;
        self.sql(&format!(
            "INSERT INTO photo_generation_settings (key, value) VALUES ('quotaWindow', '{window_ms} ms')"
        ))
        .await;
        self.simulator.set_quota(Quota {
            requests_per_minute: Some(per_window),
            window_ms,
            ..Quota::default()
        });
        join_all((0..2).map(|_| self.worker_of(Provider::OpenAi, |_| {}))).await
    }

    /// `status`, and the provider and model that were called.
    async fn worked_by(&self, job: i64) -> String {
        self.text(&format!(
            r#"SELECT concat_ws(' ', status, (
                   SELECT string_agg(concat_ws(' ', provider, call.model), ', ') FROM photo_generation_calls AS call
                   WHERE call."jobId" = job.id))
               FROM photo_generation_queue AS job WHERE id = {job}"#
        ))
        .await
    }
}

#[tokio::test]
async fn each_job_is_worked_by_who_has_its_provider_and_by_nobody_else() {
    let stage = Stage::new().await;
    let any = stage.job_with("metadata", "NULL").await;
    let openai = stage.job_with("provider", "'openai'").await;
    let gpt = stage.job_with("model", "'gpt-image-2'").await;
    let gemini = stage.job_with("provider", "'gemini'").await;
    let pro = stage.job_with("model", "'gemini-3-pro-image'").await;
    let unknown = stage.job_with("model", "'gpt-5'").await;
    let strange = stage.job_with("provider", "'stability'").await;
    let both = stage
        .job_with("provider, model", "'gemini', 'gpt-image-1'")
        .await;

    stage.drain_of(Provider::Gemini).await;

    assert_eq!(
        stage.worked_by(any).await,
        "completed gemini gemini-2.5-flash-image"
    );
    assert_eq!(
        stage.worked_by(gemini).await,
        "completed gemini gemini-2.5-flash-image"
    );
    assert_eq!(
        stage.worked_by(pro).await,
        "completed gemini gemini-3-pro-image"
    );
    for (job, says) in [
        (unknown, "Unknown model \"gpt-5\""),
        (strange, "gemini and openai are"),
    ] {
        let error =
            format!(r#"SELECT "errorMessage" FROM photo_generation_queue WHERE id = {job}"#);
        assert_eq!(stage.worked_by(job).await, "failed");
        let said = stage.text(&error).await;
        assert!(said.contains(says), "{said}");
    }
    // Not even claimed.
    for job in [openai, gpt, both] {
        assert_eq!(stage.end_of(job).await, "pending 0/ attempts 0 lease 0");
    }

    stage.drain_of(Provider::OpenAi).await;

    assert_eq!(
        stage.worked_by(openai).await,
        "completed openai gpt-image-1.5"
    );
    assert_eq!(stage.worked_by(gpt).await, "completed openai gpt-image-2");
    assert_eq!(stage.worked_by(both).await, "failed");
    // The first worker has said which the default is.
    assert_eq!(
        stage
            .text("SELECT string_agg(concat(key, '=', value), ' ' ORDER BY key) FROM photo_generation_settings WHERE key LIKE 'default%'")
            .await,
        "defaultModel.gemini=gemini-2.5-flash-image defaultModel.openai=gpt-image-1.5 defaultProvider=gemini"
    );
    stage.assert_sound(5).await;
}

#[tokio::test]
async fn who_waits_for_a_provider_that_no_worker_has_a_key_of_is_told() {
    let stage = Stage::new().await;
    let worker = stage.worker_of(Provider::Gemini, |_| {}).await;
    stage
        .until("SELECT count(*) = 1 FROM photo_generation_workers")
        .await;
    let job = stage.job_with("provider", "'openai'").await;

    let shown = stage.safelight(&["show", &job.to_string()]).await;

    assert!(
        shown
            .stdout
            .contains("No running worker has a key of openai; start one with OPENAI_API_KEY set."),
        "{shown:?}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn two_workers_of_two_providers_share_a_queue() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    let workers = [
        stage.worker_of(Provider::OpenAi, |_| {}).await,
        stage.worker_of(Provider::Gemini, |_| {}).await,
    ];
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", provider)
               SELECT 'a lake, number ' || n, 2, (ARRAY['openai', 'gemini', NULL])[n % 3 + 1]
               FROM generate_series(1, 30) AS n"#,
        )
        .await;

    stage.until_all_ended().await;

    // The OpenAI worker came first: rows that name nothing are OpenAI's.
    let log = stage.simulator.log();
    let of = |model: &str| count(&log, |call: &CallRecord| call.model == model);
    assert_eq!(
        (of("gpt-image-1.5"), of("gemini-2.5-flash-image")),
        (40, 20)
    );
    let well = "SELECT count(*) FROM photo_generation_calls
        WHERE state = 'stored' AND \"inputTokens\" > 0 AND \"outputTokens\" > 0
          AND \"providerRequestId\" IS NOT NULL";
    assert_eq!(stage.number(well).await, 60);
    stage.assert_sound(60).await;
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_row_with_pictures_and_wishes_becomes_an_edit() {
    let stage = Stage::new().await;
    let host = OddHost::start().await;
    let mut config = stage.config_of(Provider::OpenAi);
    config.storage.image_fetch_allow = vec![host.address.clone()];
    let worker = stage.worker_from(config, |_| {}).await;
    let wishes = json!({"quality": "low", "outputFormat": "jpeg", "inputFidelity": "high"});
    let pictures = json!([host.url("/good.png"), host.url("/deep.png")]);

    let job = stage
        .job_with(
            r#"model, "trainingImageUrls", "aspectRatio", payload"#,
            &format!("'gpt-image-1', '{pictures}', '9:16', '{wishes}'"),
        )
        .await;
    stage.until_all_ended().await;

    let image = r#"SELECT concat_ws(' ', "mimeType", width, height) FROM photo_generation_images"#;
    assert_eq!(stage.text(image).await, "image/jpeg 128 192");
    assert_eq!(stage.worked_by(job).await, "completed openai gpt-image-1");
    let log = stage.simulator.log();
    assert_eq!(log[0].images_in, 2);
    assert_eq!(
        log[0].prompt,
        "a lake. The image has the aspect ratio 9:16 (portrait)."
    );
    stage.assert_sound(1).await;
    worker.stop().await;
}

#[tokio::test]
async fn an_empty_balance_or_a_broken_key_fails_no_job_and_ends_with_the_mend() {
    for (fault, reason) in [("nocredit", "no_credit"), ("badkey", "bad_key")] {
        let stage = Stage::new().await;
        let worker = stage.worker_of(Provider::OpenAi, |_| {}).await;
        let broken = PushedFault {
            fault: fault.parse::<Fault>().unwrap(),
            matching: String::new(),
            times: 2,
        };
        stage.simulator.push_fault(broken);
        for _ in 0..6 {
            stage.job("a lake", 2).await;
        }
        let blocked = format!(
            r#"SELECT "blockedUntil" > now() AND reason LIKE '{reason}: %' AND NOT EXISTS (
                   SELECT FROM photo_generation_queue WHERE status = 'processing')
               FROM photo_generation_limits WHERE provider = 'openai' AND model = 'gpt-image-1.5'"#
        );
        stage.until(&blocked).await;
        let waits = stage.number(
            "SELECT count(*) FROM photo_generation_queue WHERE status = 'pending' AND attempts = 0",
        );
        assert_eq!(waits.await, 6, "{}", stage.dump().await);

        // The try of every five minutes, sooner.
        while stage.simulator.log().iter().all(|call| !call.accepted) {
            let seen = stage.simulator.log().len();
            stage
                .sql(r#"UPDATE photo_generation_limits SET "blockedUntil" = now() WHERE reason IS NOT NULL"#)
                .await;
            stage.until_called(|log| log.len() > seen).await;
            let stored =
                "SELECT EXISTS (SELECT FROM photo_generation_images WHERE state = 'stored')";
            stage.until(&format!("({stored}) OR ({blocked})")).await;
        }
        stage.until_all_ended().await;

        let done = "SELECT count(*) FROM photo_generation_queue WHERE status = 'completed' AND attempts = 0";
        assert_eq!(stage.number(done).await, 6, "{}", stage.dump().await);
        stage
            .until(
                "SELECT NOT EXISTS (SELECT FROM photo_generation_limits WHERE reason IS NOT NULL)",
            )
            .await;
        stage.assert_equation().await;
        worker.stop().await;
    }
}

/// A job of its own mistake must not cost the others five more minutes.
#[tokio::test]
async fn after_the_mend_no_bad_job_keeps_the_account_blocked() {
    for fault in ["400", "empty"] {
        let stage = Stage::new().await;
        let worker = stage
            .worker_of(Provider::OpenAi, |settings| {
                settings.poll_every = Duration::from_millis(200);
            })
            .await;
        stage.without_credit_once();
        stage.job(&format!("a lake [sim:{fault}]"), 1).await;
        stage.until(BLOCKED).await;
        let next = stage.job("a wood", 1).await;

        // The next try, sooner.
        stage
            .sql(r#"UPDATE photo_generation_limits SET "blockedUntil" = now() WHERE reason IS NOT NULL"#)
            .await;

        let done =
            format!("SELECT status = 'completed' FROM photo_generation_queue WHERE id = {next}");
        stage.until(&done).await;
        let order: Vec<_> = stage.simulator.log();
        assert!(order[1].prompt.starts_with("a lake"), "{order:#?}");
        worker.kill();
    }
}

#[tokio::test]
async fn after_the_mend_an_operator_resumes_the_model_at_once() {
    let stage = Stage::new().await;
    let worker = stage
        .worker_of(Provider::OpenAi, |settings| {
            settings.poll_every = Duration::from_hours(1);
        })
        .await;
    stage.without_credit_once();
    let job = stage.job("a lake", 1).await;
    stage.until(BLOCKED).await;

    let resumed = stage
        .safelight(&["resume", "model", "gpt-image-1.5", "--json"])
        .await;

    assert_eq!(
        resumed.json()["unblocked"],
        json!(["openai/default/gpt-image-1.5"]),
        "{resumed:?}"
    );
    stage.until_all_ended().await;
    assert_eq!(stage.end_of(job).await, "completed 1/1 attempts 0 lease 4");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_openais_begins_with_300_a_minute_and_keeps_to_its_quota() {
    const PER_WINDOW: u32 = 30;
    const WINDOW_MS: u64 = 6000;
    let stage = Stage::new().await;
    let first = r#"SELECT count(*) FROM photo_generation_limits
        WHERE provider = 'openai' AND "requestsPerMinute" = 300"#;
    assert_eq!(stage.number(first).await, 5);
    stage
        .sql(&format!(
            r#"UPDATE photo_generation_limits SET "requestsPerMinute" = {PER_WINDOW} WHERE provider = 'openai'"#
        ))
        .await;
    let workers = stage.two_with_quota(PER_WINDOW, WINDOW_MS).await;
    for _ in 0..45 {
        stage.job("a lake", 2).await;
    }

    stage.until_all_ended().await;

    let log = stage.simulator.log();
    assert_eq!(count(&log, |call| call.accepted), 90);
    // A busy machine may let one come late.
    assert!(count(&log, |call| !call.accepted) <= 2, "{log:#?}");
    let took = log[log.len() - 1].received_at_ms - log[0].received_at_ms;
    // Three windows, and none of them waited for longer than it takes.
    assert!(
        (2 * WINDOW_MS - 1000..4 * WINDOW_MS).contains(&took),
        "{took}"
    );
    stage.assert_equation().await;
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_openai_states_is_kept_to_from_then_on_by_all() {
    const PER_WINDOW: u32 = 5;
    const WINDOW_MS: u64 = 3000;
    let stage = Stage::new().await;
    let workers = stage.two_with_quota(PER_WINDOW, WINDOW_MS).await;
    for _ in 0..30 {
        stage.job_with("model", "'gpt-image-1.5'").await;
    }

    stage.until_all_ended().await;

    let log = stage.simulator.log();
    assert_eq!(count(&log, |call| call.accepted), 30);
    // Those that were on their way when the first was refused; and one of a busy machine that came late.
    let of_first = log
        .iter()
        .find(|call| !call.accepted)
        .unwrap()
        .received_at_ms;
    let after =
        |call: &CallRecord| !call.accepted && call.received_at_ms > of_first + WINDOW_MS / 2;
    assert!(count(&log, after) <= 1, "{log:#?}");
    let stated = r#"SELECT "statedPerMinute" FROM photo_generation_limits
        WHERE provider = 'openai' AND model = 'gpt-image-1.5'"#;
    assert_eq!(stage.number(stated).await, i64::from(PER_WINDOW));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_model_that_nobody_knew_of_gets_its_limits_with_its_first_call() {
    let stage = Stage::new().await;
    stage.job_with("model", "'gpt-image-9'").await;

    let worker = stage.worker_of(Provider::OpenAi, |_| {}).await;

    // OpenAI does not know it, which says nothing of how many calls a minute it would take.
    stage
        .until(
            r#"SELECT "requestsPerMinute" = 300 AND reason LIKE 'model_gone%'
               FROM photo_generation_limits WHERE model = 'gpt-image-9'"#,
        )
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn the_database_knows_the_providers_of_the_same_models_as_we() {
    let stage = Stage::new().await;
    let known = Provider::ALL
        .into_iter()
        .flat_map(|it| it.known_models().to_vec());
    let odd = [
        "",
        "gemini-nano",
        "gemini-2.5-flash",
        "gemini-4-pro-image",
        "gemini-3.1-flash-lite-image",
        "gemini-2.5-flash/../x",
        "gpt-5",
        "gpt-image-",
        "gpt-image-1.5-2025-12-16",
        "gpt-image-9",
        "gpt-image-1/x",
        "chatgpt-image-latest",
        "dall-e-3",
        "x-gpt-image-1",
    ];

    for name in known.chain(odd) {
        let ours = Model::from_name(name).map_or("", |model| model.provider().as_str());
        let theirs = format!("SELECT photo_generation_provider('{name}')");
        assert_eq!(stage.text(&theirs).await, ours, "{name}");
    }
}

#[tokio::test]
async fn a_row_that_names_a_provider_alone_is_given_its_default_and_never_refused() {
    let stage = Stage::new().await;
    let model = async |job: i64| {
        stage
            .text(&format!(
                "SELECT model FROM photo_generation_queue WHERE id = {job}"
            ))
            .await
    };

    let usual = stage.job_with("provider", "'openai'").await;
    assert_eq!(model(usual).await, "gpt-image-1.5");
    stage
        .sql("INSERT INTO photo_generation_settings (key, value) VALUES ('defaultModel.openai', 'gpt-image-2')")
        .await;
    let recorded = stage.job_with("provider, model", "'openai', ''").await;
    assert_eq!(model(recorded).await, "gpt-image-2");
    for job in [
        stage.job_with("provider", "'stability'").await,
        stage.job_with("provider", "NULL").await,
    ] {
        assert_eq!(model(job).await, "");
    }
    // Too long for the column that it goes into: then it is left out.
    stage
        .sql("ALTER TABLE photo_generation_queue ADD CHECK (model IS NULL OR length(model) < 30)")
        .await;
    let named = stage
        .job_with("provider, model", "'openai', 'gpt-image-1'")
        .await;
    assert_eq!(model(named).await, "gpt-image-1");
    let added = stage.job_with("model", "NULL").await;
    stage
        .sql(&format!(
            "UPDATE photo_generation_queue SET provider = 'openai' WHERE id = {added}"
        ))
        .await;
    assert_eq!(model(added).await, "gpt-image-2");
}

#[tokio::test]
async fn migrate_records_the_default_provider_and_its_model() {
    let stage = Stage::new().await;
    let settings = "SELECT string_agg(concat(key, '=', value), ' ' ORDER BY key)
        FROM photo_generation_settings WHERE key LIKE 'default%'";

    let set = stage
        .safelight(&[
            "migrate",
            "--default-provider=openai",
            "--openai-model-name=gpt-image-2",
        ])
        .await;

    assert_eq!(set.code, 0, "{set:?}");
    assert_eq!(
        stage.text(settings).await,
        "defaultModel.openai=gpt-image-2 defaultProvider=openai"
    );
    let job = stage.job("a lake", 1).await;
    stage.drain_of(Provider::Gemini).await;
    assert_eq!(stage.status(job).await, "pending");
    stage.drain_of(Provider::OpenAi).await;
    assert_eq!(stage.worked_by(job).await, "completed openai gpt-image-2");
    let refused = stage
        .safelight(&["migrate", "--openai-model-name=gemini-3-pro-image"])
        .await;
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("is not an image model of OpenAI"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn over_http_a_caller_may_wish_for_openais_and_is_told_what_it_cannot_have() {
    const KEY: &str = "key-of-team-seven";
    let stage = Stage::new().await;
    let server = stage.serve(&[&format!("--api-keys=7:{KEY}")]).await;
    let post = async |body| server.post("/api/generations", KEY, body).await;

    let (status, accepted) = post(json!({
        "prompt": "a lake", "numImages": 1, "provider": "openai", "aspectRatio": "16:9",
        "quality": "high", "outputFormat": "webp",
    }))
    .await;

    assert_eq!(status, 202, "{accepted}");
    stage.drain_of(Provider::OpenAi).await;
    let image = r#"SELECT concat_ws(' ', "mimeType", width, height) FROM photo_generation_images"#;
    assert_eq!(stage.text(image).await, "image/webp 192 128");
    for (wish, says) in [
        (
            json!({"model": "gpt-image-2", "inputFidelity": "high"}),
            "gpt-image-2 takes no",
        ),
        (
            json!({"provider": "openai", "quality": "hd"}),
            "\"quality\" must be one of low",
        ),
        (
            json!({"provider": "openai", "imageSize": "2K"}),
            "1024x1024",
        ),
        (json!({"provider": "stability"}), "gemini and openai are"),
        (
            json!({"provider": "openai", "model": "gemini-3-pro-image"}),
            "is one of provider gemini",
        ),
    ] {
        let mut body = json!({"prompt": "a lake"});
        body.as_object_mut()
            .unwrap()
            .extend(wish.as_object().unwrap().clone());
        let (status, refused) = post(body).await;
        assert_eq!(status, 400, "{refused}");
        let said = refused["error"].as_str().unwrap();
        assert!(said.contains(says), "{said}");
    }
}

/// Long enough for a machine that is busy with other tests.
const A_CALL: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_caller_may_wish_for_openais_and_is_told_what_it_cannot_have() {
    let stage = Stage::new().await;
    let enqueue = async |more: &[&str]| {
        let mut words = vec!["enqueue", "a lake", "--json"];
        words.extend(more);
        let answer = tokio::time::timeout(A_CALL, stage.safelight(&words));
        answer.await.unwrap()
    };

    let taken = enqueue(&["--model", "gpt-image-2", "--aspect-ratio", "9:16"]).await;
    assert_eq!(taken.code, 0, "{taken:?}");
    let of_provider = enqueue(&["--provider", "openai"]).await;
    assert_eq!(of_provider.code, 0, "{of_provider:?}");
    let models = "SELECT string_agg(concat_ws(' ', provider, model), ', ' ORDER BY id)
        FROM photo_generation_queue";
    assert_eq!(
        stage.text(models).await,
        "gpt-image-2, openai gpt-image-1.5"
    );

    let says = async |more: &[&str], says: &str| {
        let refused = enqueue(more).await;
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains(says), "{refused:?}");
    };
    let size = ["--model", "gpt-image-1.5", "--image-size", "2K"];
    says(&size, "1024x1024, 1536x1024, 1024x1536").await;
    let model = ["--provider", "openai", "--model", "gemini-3-pro-image"];
    says(&model, "is one of provider gemini").await;
}
