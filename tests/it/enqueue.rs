//! `safelight enqueue` on tables as they are: idempotency keys, columns of other types, JSON that is
//! the app's own.

use safelight::db::schema;
use serde_json::Value;

use crate::harness::{Answer, Stage};

const KEYED: [&str; 6] = [
    "enqueue",
    "a red bicycle",
    "--user=7",
    "--idempotency-key=order-81",
    "--metadata={\"a\": 1}",
    "--json",
];

impl Stage {
    async fn rows(&self) -> i64 {
        self.number("SELECT count(*) FROM photo_generation_queue")
            .await
    }

    /// As in a table that an app made, after its adoption.
    pub(crate) async fn with_user_id_as(&self, kind: &str) {
        self.sql(&format!(
            r#"DROP INDEX safelight_idempotency_key, safelight_fresh_idx, safelight_retrying_idx,
                          safelight_tenant_jobs_idx;
               ALTER TABLE photo_generation_queue ALTER "userId" TYPE {kind} USING "userId"::{kind}"#
        ))
        .await;
        schema::migrate(&self.db().await, &|_| {}).await.unwrap();
    }
}

fn id(answer: &Answer) -> i64 {
    assert_eq!(answer.code, 0, "{answer:?}");
    answer.json()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn the_same_key_and_the_same_wishes_are_the_same_job() {
    let stage = Stage::new().await;
    let wishes = [
        &KEYED[..],
        &["--expires-in=30m", "--images=2", "--priority=batch"],
    ]
    .concat();

    let first = stage.safelight(&wishes).await;
    let again = stage.safelight(&wishes).await;

    assert_eq!(id(&first), id(&again));
    assert_eq!(first.json(), again.json());
    assert_eq!(stage.rows().await, 1);
    let people = stage
        .safelight(
            &wishes
                .iter()
                .copied()
                .filter(|word| *word != "--json")
                .collect::<Vec<_>>(),
        )
        .await;
    assert!(
        people
            .stdout
            .starts_with("Job 1 was there already, with this key; it is pending"),
        "{people:?}"
    );
}

#[tokio::test]
async fn the_same_key_with_other_wishes_is_refused() {
    let stage = Stage::new().await;
    id(&stage.safelight(&KEYED).await);

    for other in [
        "--images=3",
        "--model=gemini-3-pro-image",
        "--expires-in=30m",
        "--team=",
        "--metadata={\"a\": 2}",
        "--image=https://example.com/a.png",
    ] {
        let wishes: Vec<_> = KEYED
            .iter()
            .copied()
            .filter(|word| !(word.starts_with("--metadata") && other.starts_with("--metadata")))
            .chain([other])
            .collect();
        let answer = stage.safelight(&wishes).await;
        // An empty team is none.
        let expected = i32::from(other != "--team=");

        assert_eq!(answer.code, expected, "{other}: {answer:?}");
        if expected == 1 {
            assert!(
                answer
                    .stderr
                    .contains("--idempotency-key order-81 is that of job 1"),
                "{answer:?}"
            );
        }
    }
    assert_eq!(stage.rows().await, 1);
}

#[tokio::test]
async fn two_at_once_make_one_job() {
    let stage = Stage::new().await;
    // Both inserts wait for this, and go on together.
    let mut gate = stage.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE photo_generation_queue IN SHARE MODE")
        .execute(&mut *gate)
        .await
        .unwrap();
    let open = async {
        stage.until_waiting(2).await;
        gate.commit().await.unwrap();
    };

    let (one, other, ()) = tokio::join!(stage.safelight(&KEYED), stage.safelight(&KEYED), open);

    assert_eq!(id(&one), id(&other));
    assert_eq!(stage.rows().await, 1);
}

/// As apps have it that take the user from the session.
#[tokio::test]
async fn a_key_whose_tenant_a_trigger_rewrites_is_refused() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS
                   'BEGIN NEW."userId" := ''session''; RETURN NEW; END';
               CREATE TRIGGER own BEFORE INSERT ON photo_generation_queue
                   FOR EACH ROW EXECUTE FUNCTION own();"#,
        )
        .await;
    id(&stage.safelight(&KEYED).await);

    let again = stage.safelight(&KEYED).await;

    assert!(
        again.code == 1 && again.stderr.contains("changes whose a job is"),
        "{again:?}"
    );
    assert_eq!(stage.rows().await, 1);
}

#[tokio::test]
async fn a_key_is_its_tenants() {
    let stage = Stage::new().await;
    let with = |who: &'static [&'static str]| {
        [&["enqueue", "a lake", "--idempotency-key=k", "--json"], who].concat()
    };

    let mut jobs = Vec::new();
    for who in [
        &[][..],
        &["--user=7"],
        &["--team=7"],
        &["--user=8"],
        &["--team=8", "--user=7"],
    ] {
        jobs.push(id(&stage.safelight(&with(who)).await));
    }

    assert_eq!(jobs, [1, 2, 3, 4, 5]);
    // Another user of the same team: the key is taken.
    assert_eq!(
        stage.safelight(&with(&["--team=8", "--user=9"])).await.code,
        1
    );
    assert_eq!(
        id(&stage.safelight(&with(&["--user=", "--team="])).await),
        1
    );
}

/// The words of the index are those of `domain::Tenant`.
#[tokio::test]
async fn an_apps_own_insert_with_a_taken_key_is_refused_by_the_table() {
    let stage = Stage::new().await;
    let insert = async |team: &str, user: &str| {
        let row = format!(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "teamId", "userId", "idempotencyKey")
               VALUES ('a lake', {team}, {user}, 'k')"#
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(row))
            .execute(&stage.pool)
            .await
    };

    for (team, user, taken) in [
        ("NULL", "NULL", false),
        ("''", "''", true),
        ("NULL", "'7'", false),
        ("''", "'7'", true),
        ("'7'", "'7'", false),
        ("'7'", "'8'", true),
    ] {
        let refused = insert(team, user).await.err();
        let code = refused
            .as_ref()
            .and_then(|error| error.as_database_error()?.code());
        assert_eq!(
            code.as_deref(),
            taken.then_some("23505"),
            "{team} {user}: {refused:?}"
        );
    }
    stage
        .sql(r#"INSERT INTO photo_generation_queue ("basePrompt", "idempotencyKey") VALUES ('a lake', 'k')
                ON CONFLICT DO NOTHING"#)
        .await;
    assert_eq!(stage.rows().await, 3);
}

#[tokio::test]
async fn a_retry_leaves_the_key_with_the_old_job() {
    let stage = Stage::new().await;
    id(&stage.safelight(&KEYED).await);
    assert_eq!(stage.safelight(&["cancel", "1"]).await.code, 0);

    let retried = stage.safelight(&["retry", "1"]).await;

    assert_eq!(retried.code, 0, "{retried:?}");
    let keys = r#"SELECT string_agg(concat_ws(' ', id, "idempotencyKey", "expiresAt"), ', ' ORDER BY id) FROM photo_generation_queue"#;
    assert_eq!(stage.text(keys).await, "1 order-81, 2");
}

#[tokio::test]
async fn ids_of_any_type_are_converted_by_postgres() {
    let uuid = "0B7F3F62-5d0f-4a59-9a3e-6f2d1f6f7c11";
    for (kind, user, stored) in [
        ("integer", "007", "7"),
        ("bigint", "90000000000", "90000000000"),
        ("uuid", uuid, &uuid.to_lowercase()),
        ("varchar(64)", "7", "7"),
    ] {
        let stage = Stage::new().await;
        stage.with_user_id_as(kind).await;
        let user = format!("--user={user}");
        let wishes = ["enqueue", "a lake", &user, "--idempotency-key=k", "--json"];

        let first = stage.safelight(&wishes).await;
        let again = stage.safelight(&wishes).await;

        assert_eq!(id(&first), id(&again), "{kind}");
        assert_eq!(
            stage
                .text(r#"SELECT "userId" FROM photo_generation_queue"#)
                .await,
            stored,
            "{kind}"
        );
        stage.drain().await;
        assert_eq!(stage.status(1).await, "completed", "{kind}");
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_told_by_its_option() {
    let stage = Stage::new().await;
    stage.with_user_id_as("integer").await;
    stage
        .sql(
            r#"CREATE TYPE urgency AS ENUM ('normal', 'urgent');
               DROP INDEX safelight_fresh_idx;
               ALTER TABLE photo_generation_queue ALTER priority DROP DEFAULT,
                   ALTER priority TYPE urgency USING priority::urgency;
               CREATE TABLE teams (id text PRIMARY KEY);
               ALTER TABLE photo_generation_queue ADD FOREIGN KEY ("teamId") REFERENCES teams"#,
        )
        .await;

    for (option, code, expected) in [
        (
            "--user=abc",
            2,
            r#"--user does not fit into this database, where "userId" is of type integer"#,
        ),
        ("--user=99999999999", 2, "--user does not fit"),
        (
            "--priority=batch",
            2,
            r#"--priority does not fit into this database, where "priority" is of type urgency"#,
        ),
        ("--metadata={\"a\": 1e999999}", 2, "--metadata does not fit"),
        ("--batch=7", 1, "there is no batch 7"),
        (
            "--team=7",
            1,
            "--team names a row of teams that is not there",
        ),
    ] {
        let answer = stage.safelight(&["enqueue", "a lake", option]).await;

        assert_eq!(answer.code, code, "{option}: {answer:?}");
        assert!(answer.stderr.contains(expected), "{option}: {answer:?}");
    }
    assert_eq!(stage.rows().await, 0);
}

#[tokio::test]
async fn columns_that_were_not_given_keep_their_defaults() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"ALTER TABLE photo_generation_queue ALTER "numImagesPerExample" SET DEFAULT 1,
                   ALTER priority SET DEFAULT 'batch', ADD "createdBy" text NOT NULL DEFAULT 'the app'"#,
        )
        .await;

    id(&stage
        .safelight(&["enqueue", "a lake", "--expires-in=2h", "--json"])
        .await);

    let row = r#"SELECT concat_ws(' ', "numImagesPerExample", priority, "createdBy", "maxAttempts", "trainingImageUrls",
                    "expiresAt" - "createdAt") FROM photo_generation_queue"#;
    assert_eq!(stage.text(row).await, "1 batch the app 5 [] 02:00:00");
}

#[tokio::test]
async fn metadata_comes_back_as_postgres_holds_it() {
    let stage = Stage::new().await;
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let text = format!(r#"{{"n": 12345678901234567890.123456789, "big": 1e999, "deep": {deep}}}"#);

    let enqueued = stage
        .safelight(&["enqueue", "a lake", &format!("--metadata={text}"), "--json"])
        .await;

    let held = stage
        .text("SELECT metadata FROM photo_generation_queue")
        .await;
    assert!(held.contains("12345678901234567890.123456789") && held.contains(&deep));
    let held = format!("\"metadata\":{held}");
    for command in [&["list", "--json"][..], &["show", "1", "--json"]] {
        let answer = stage.safelight(command).await;
        assert!(answer.stdout.contains(&held), "{answer:?}");
    }
    assert_eq!(id(&enqueued), 1);
}

#[tokio::test]
async fn a_person_is_shown_key_expiry_and_metadata() {
    let stage = Stage::new().await;
    id(&stage
        .safelight(&[&KEYED[..], &["--expires-in=7d"]].concat())
        .await);

    let shown = stage.safelight(&["show", "1"]).await;
    let json: Value = stage.safelight(&["show", "1", "--json"]).await.json();

    for line in [
        "  key       order-81",
        "  metadata  {\"a\": 1}",
        "(in 6 d 23 h)",
    ] {
        assert!(shown.stdout.contains(line), "{shown:?}");
    }
    assert_eq!(json["idempotencyKey"], "order-81");
    assert!(json["expiresAt"].is_string());
}
