//! What operators pause, by command: nothing more of it begins, on jobs that run too, all else goes on,
//! and nothing is lost or paid twice.

use std::time::Duration;

use futures_util::future::join_all;
use safelight::db::ledger::{self, Gate, NewCall, Scarce};
use safelight::domain::Model;
use uuid::Uuid;

use crate::harness::{InProcess, MODEL, Stage, count};

const OTHER_MODEL: &str = "gemini-3-pro-image";

/// A job that goes on while another is paused: its type, its model, its user, and how it ends.
type Other = (&'static str, &'static str, &'static str, &'static str);

/// Of each kind the words of the command, and a job that goes on meanwhile. While all is paused, none does.
const KINDS: [(&[&str], Option<Other>); 4] = [
    (&["all"], None),
    (
        &["type", "photo_generation"],
        // Without pictures, which is said when it is worked.
        Some(("tryon", MODEL, "7", "failed")),
    ),
    (
        &["model", MODEL],
        Some(("photo_generation", OTHER_MODEL, "7", "completed")),
    ),
    (
        &["tenant", "user:7"],
        Some(("photo_generation", MODEL, "8", "completed")),
    ),
];

impl Stage {
    /// One call at a time, and a worker that polls once an hour: what is sooner was woken.
    async fn patient_worker(&self) -> InProcess {
        self.sql(r#"UPDATE photo_generation_limits SET "maxConcurrent" = 1"#)
            .await;
        self.worker_with(|settings| settings.poll_every = Duration::from_hours(1))
            .await
    }

    async fn paused(&self, words: &[&str]) {
        let answer = self.safelight(&[&["pause"], words].concat()).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        let resume = format!("To go on: safelight resume {}\n", words.join(" "));
        assert!(answer.stdout.ends_with(&resume), "{answer:?}");
    }

    async fn until_is(&self, job: i64, status: &str) {
        self.until(&format!(
            "SELECT status = '{status}' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
    }

    fn lakes(&self) -> i64 {
        count(&self.simulator.log(), |call| call.prompt.contains("lake"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_runs_begins_no_call_while_it_is_paused_and_loses_nothing() {
    join_all(KINDS.map(|(words, meanwhile)| check(words, meanwhile))).await;
}

async fn check(words: &[&str], meanwhile: Option<Other>) {
    let stage = Stage::new().await;
    let worker = stage.patient_worker().await;
    let job = stage.job("a lake [sim:slow=3s@1]", 4).await;
    stage.until_called(|log| log.len() == 1).await;

    stage.paused(words).await;
    assert_eq!(stage.status(job).await, "processing", "{words:?}");
    stage.until_is(job, "pending").await;

    // The call that was in flight ended as usual.
    let kept = r#"SELECT concat("imagesCompleted", ' stored, ', attempts, ' attempts, lease ', lease)
                  FROM photo_generation_queue WHERE "basePrompt" LIKE '%lake%'"#;
    assert_eq!(
        stage.text(kept).await,
        "1 stored, 0 attempts, lease 2",
        "{words:?}"
    );
    if let Some((kind, model, user, status)) = meanwhile {
        let other: i64 = sqlx::query_scalar(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", type, model, "userId")
               VALUES ('a wood', 1, $1, $2, $3) RETURNING id"#,
        )
        .bind(kind)
        .bind(model)
        .bind(user)
        .fetch_one(&stage.pool)
        .await
        .unwrap();
        stage.until_is(other, status).await;
    }
    assert_eq!(
        stage.text(kept).await,
        "1 stored, 0 attempts, lease 2",
        "{words:?}"
    );
    assert_eq!(stage.lakes(), 1, "{words:?}");

    let resumed = stage.safelight(&[&["resume"], words].concat()).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    stage.until_is(job, "completed").await;

    assert_eq!(stage.end_of(job).await, "completed 4/4 attempts 0 lease 4");
    assert_eq!(stage.calls_of(job).await, "stored 4", "{words:?}");
    assert_eq!(stage.lakes(), 4, "{words:?}");
    stage.assert_equation().await;
    stage.assert_photos().await;
    worker.stop().await;
}

/// A statement is sent again after a lost connection: what was granted before the pause stays granted,
/// else the call would be on record and nobody would make it.
#[tokio::test]
async fn a_call_that_was_granted_before_the_pause_is_granted_when_it_is_asked_for_again() {
    let stage = Stage::new().await;
    stage.job("a lake", 2).await;
    let holder = stage.holder("a worker").await;
    let (lease, job) = holder.claim().await;
    ledger::plan(&holder.db, &lease, 2).await.unwrap();
    let model = Model::from_name(MODEL).unwrap();
    let accounts = ["default".to_owned()];
    let call = |index| NewCall {
        id: Uuid::new_v4(),
        target: safelight::domain::Target::Image(index),
        run: holder.claimer.run,
        tenant: &job.tenant,
        accounts: &accounts,
        model: &model,
        deadline: Duration::from_mins(3),
    };
    let first = call(1);
    let granted = ledger::calling(&holder.db, &lease, &first).await.unwrap();
    assert!(matches!(granted, Gate::Open(_)), "{granted:?}");

    stage.paused(&["all"]).await;

    let again = ledger::calling(&holder.db, &lease, &first).await.unwrap();
    assert!(matches!(again, Gate::Open(_)), "{again:?}");
    match ledger::calling(&holder.db, &lease, &call(2)).await.unwrap() {
        Gate::Wait(wait) => assert_eq!((wait.length, wait.why), (None, Scarce::Leave)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_name_that_nothing_here_has_is_refused_with_those_that_something_has() {
    let stage = Stage::new().await;
    for (words, complaint) in [
        (
            &["model", "gemini-3-pro-imgae"][..],
            "no job here has the model \"gemini-3-pro-imgae\"; known are chatgpt-image-latest, gemini-2.5-flash, gemini-2.5-flash-image, gemini-3-pro-image,",
        ),
        (
            &["type", "tryonn"],
            "known are photo_generation, image_generation, image_edit, tryon",
        ),
        (
            &["tenant", "7"],
            "\"7\" is no tenant: team:ID, user:ID, or none",
        ),
        (&["tenant"], "which tenant?"),
        (&["all", "team:7"], "all is everything"),
    ] {
        for command in ["pause", "resume"] {
            let answer = stage.safelight(&[&[command], words].concat()).await;

            assert_eq!(answer.code, 2, "{answer:?}");
            assert!(answer.stderr.contains(complaint), "{answer:?}");
        }
    }
    let written = "SELECT count(*) FROM photo_generation_pauses";
    assert_eq!(stage.number(written).await, 0);
}

#[tokio::test]
async fn a_type_that_only_this_fleets_jobs_have_can_be_paused() {
    let stage = Stage::new().await;
    let worker = stage.patient_worker().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", type, "retryAt")
               VALUES ('a lake', 'poster', now() + interval '1 hour')"#,
        )
        .await;
    stage
        .until("SELECT EXISTS (SELECT FROM photo_generation_shares)")
        .await;

    stage.paused(&["type", "poster"]).await;

    worker.stop().await;
}

#[tokio::test]
async fn what_is_paused_is_listed_and_what_still_is_after_a_resume() {
    let stage = Stage::new().await;
    let list = stage.safelight(&["pause"]).await;
    assert_eq!(list.stdout, "Nothing is paused.\n");
    stage.paused(&["model", OTHER_MODEL]).await;
    let answer = stage
        .safelight(&["pause", "all", "--reason", "the bill", "--json"])
        .await;
    assert_eq!(answer.json()["what"], "all");
    stage
        .sql("UPDATE photo_generation_limits SET paused = true WHERE model = 'gemini-3.1-flash-image'")
        .await;

    let list = stage.safelight(&["pause", "--list"]).await;
    let lines: Vec<_> = list.stdout.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "PAUSED                                         SINCE     WHY       TO GO ON",
            "all                                            just now  the bill  safelight resume all",
            "model gemini-3-pro-image                       just now            safelight resume model gemini-3-pro-image",
            "account gemini/default/gemini-3.1-flash-image                      safelight limits set gemini/default/gemini-3.1-flash-image --paused false",
        ]
    );

    let resumed = stage.safelight(&["resume", "all"]).await;
    assert!(
        resumed.stdout.starts_with("Resumed: all.\nStill paused:\n"),
        "{resumed:?}"
    );
    assert!(
        resumed
            .stdout
            .contains("safelight resume model gemini-3-pro-image"),
        "{resumed:?}"
    );
    let again = stage.safelight(&["resume", "all", "--json"]).await.json();
    assert_eq!(again["resumed"], serde_json::Value::Null);
    assert_eq!(again["stillPaused"][0]["name"], OTHER_MODEL);
    assert_eq!(again["stillPaused"].as_array().unwrap().len(), 2);
    let mended = stage
        .safelight(&[
            "limits",
            "set",
            "gemini/default/gemini-3.1-flash-image",
            "--paused",
            "false",
        ])
        .await;
    assert_eq!(mended.code, 0, "{mended:?}");
    let list = stage.safelight(&["pause", "--json"]).await.json();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
}
