//! Reserving: what an insert costs, when it is refused, and that nobody overdraws.

use futures_util::future::join_all;

use super::ledger;
use crate::harness::Stage;

const INSERT: &str =
    r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId")"#;

#[tokio::test]
async fn an_insert_reserves_one_credit_for_each_image() {
    let stage = ledger(&[("user:7", 10)]).await;

    stage.job("a lake", 3).await;
    // Four, when nothing is said.
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "userId") VALUES ('a hill', '7')"#,
        )
        .await;

    assert_eq!(
        stage.book("user:7").await,
        "left 3 reserved 7 captured 0 refunded 0"
    );
    let entries =
        "SELECT string_agg(kind || amount, ' ' ORDER BY id) FROM photo_generation_credit_entries";
    assert_eq!(stage.text(entries).await, "grant10 reserve3 reserve4");
}

#[tokio::test]
async fn a_price_holds_for_a_model_and_type_else_the_model_else_the_type_else_all() {
    let stage = ledger(&[("user:7", 1000)]).await;
    stage
        .sql(
            "INSERT INTO photo_generation_settings (key, value)
             VALUES ('defaultProvider', 'gemini'), ('defaultModel.gemini', 'gemini-2.5-flash-image');
             INSERT INTO photo_generation_credit_prices (type, model, credits) VALUES
                 ('', '', 2), ('tryon', '', 3), ('', 'gemini-3-pro-image', 5),
                 ('tryon', 'gemini-3-pro-image', 7), ('', 'gemini-2.5-flash-image', 11)",
        )
        .await;
    let check = async |kind: &str, model: &str, wanted: i64| {
        stage
            .sql(&format!(
                r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "numImagesPerExample", type, model)
                   VALUES ('a lake', '7', 1, '{kind}', nullif('{model}', ''))"#
            ))
            .await;
        let last = r#"SELECT each FROM photo_generation_credit_reservations ORDER BY "jobId" DESC LIMIT 1"#;
        assert_eq!(stage.number(last).await, wanted, "{kind} {model}");
    };

    check("photo_generation", "gemini-3.1-flash-image", 2).await;
    check("tryon", "gemini-3.1-flash-image", 3).await;
    check("photo_generation", "gemini-3-pro-image", 5).await;
    check("tryon", "gemini-3-pro-image", 7).await;
    check("photo_generation", "", 11).await;
    stage.assert_books().await;
}

#[tokio::test]
async fn one_statement_reserves_for_all_its_tenants_or_is_refused() {
    let stage = ledger(&[("user:7", 10), ("team:7", 10)]).await;
    let rows = |of_team: i32| {
        format!(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", "userId", "teamId")
               VALUES ('a', 2, '7', NULL), ('b', {of_team}, '7', '7'), ('c', 3, '7', '')"#
        )
    };

    let refused = stage.refusal_of(&rows(11)).await;
    assert_eq!(refused[..2], ["PT402", "insufficient_credits"]);
    let detail: serde_json::Value = serde_json::from_str(&refused[2]).unwrap();
    assert_eq!(
        detail,
        serde_json::json!({"tenant": "team:7", "remaining": 10, "required": 11})
    );
    assert!(
        refused[3].contains("safelight credits grant team:7"),
        "{refused:?}"
    );
    let jobs = "SELECT count(*) FROM photo_generation_queue";
    assert_eq!(stage.number(jobs).await, 0);

    stage.sql(&rows(4)).await;
    assert_eq!(
        stage.book("user:7").await,
        "left 5 reserved 5 captured 0 refunded 0"
    );
    assert_eq!(
        stage.book("team:7").await,
        "left 6 reserved 4 captured 0 refunded 0"
    );
}

#[tokio::test]
async fn who_has_no_account_has_nothing_but_what_costs_nothing() {
    let stage = ledger(&[]).await;

    let refused = stage
        .refusal_of(&format!("{INSERT} VALUES ('a lake', 1, '7')"))
        .await;
    assert_eq!(refused[0], "PT402");
    // Who names nobody is a customer like any other.
    let refused = stage
        .refusal_of(&format!("{INSERT} VALUES ('a lake', 1, NULL)"))
        .await;
    assert!(refused[2].contains("\"none\""), "{refused:?}");
    stage
        .sql("INSERT INTO photo_generation_credit_prices (credits) VALUES (0)")
        .await;
    stage
        .sql(&format!("{INSERT} VALUES ('a lake', 1, '7')"))
        .await;

    stage.assert_books().await;
}

#[tokio::test]
async fn many_at_once_never_spend_more_than_there_is() {
    let stage = ledger(&[("user:7", 7), ("user:8", 3)]).await;

    let inserts = (0..20).map(|number| {
        let sql = format!(
            "{INSERT} VALUES ('a {number}', 1, '{}'), ('b {number}', 1, '{}')",
            7 + number % 2,
            8 - number % 2
        );
        let pool = stage.pool.clone();
        async move {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&pool)
                .await
                .map_err(|error| {
                    error
                        .into_database_error()
                        .unwrap()
                        .code()
                        .unwrap()
                        .into_owned()
                })
        }
    });
    let results = join_all(inserts).await;

    let (done, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 3);
    assert!(
        refused
            .iter()
            .all(|one| one.as_ref().is_err_and(|code| code == "PT402")),
        "{refused:?}"
    );
    assert_eq!(
        stage.book("user:7").await,
        "left 4 reserved 3 captured 0 refunded 0"
    );
    assert_eq!(
        stage.book("user:8").await,
        "left 0 reserved 3 captured 0 refunded 0"
    );
}

#[tokio::test]
async fn what_came_back_is_spent_again() {
    let stage = ledger(&[("user:7", 4)]).await;
    let job = stage.job("a lake", 4).await;
    stage.set_status(job, "canceled").await;

    stage.job("a hill", 3).await;

    assert_eq!(
        stage.book("user:7").await,
        "left 1 reserved 3 captured 0 refunded 4"
    );
}

#[tokio::test]
async fn switched_off_nothing_is_written_and_a_word_that_is_none_is_off() {
    let stage = Stage::new().await;
    for mode in ["off", "Ledger", ""] {
        stage.pays(mode).await;
        let job = stage.job("a lake", 2).await;
        stage.image(job, 1, "stored").await;
        stage.set_status(job, "completed").await;
    }

    let written = "SELECT (SELECT count(*) FROM photo_generation_credit_entries)
                        + (SELECT count(*) FROM photo_generation_credit_reservations)
                        + (SELECT count(*) FROM photo_generation_credit_refunds)";
    assert_eq!(stage.number(written).await, 0);
}

#[tokio::test]
async fn jobs_from_before_cost_nothing_and_jobs_from_then_are_settled_when_it_is_switched_off() {
    let stage = Stage::new().await;
    stage.grant("user:7", 10).await;
    let before = stage.job("a lake", 2).await;
    stage.pays("ledger").await;
    let then = stage.job("a hill", 3).await;
    stage.pays("off").await;

    for job in [before, then] {
        stage.image(job, 1, "stored").await;
        stage.set_status(job, "completed").await;
    }

    assert_eq!(stage.settled(before).await, "");
    assert_eq!(
        stage.book("user:7").await,
        "left 9 reserved 0 captured 1 refunded 2"
    );
}

#[tokio::test]
async fn a_role_that_may_do_nothing_but_insert_inserts_and_is_refused_like_any_other() {
    let stage = ledger(&[("user:7", 3)]).await;
    let role = format!("r_{}", uuid::Uuid::new_v4().simple());
    stage
        .sql(&format!(
            "CREATE ROLE {role} BYPASSRLS; GRANT INSERT ON photo_generation_queue TO {role}"
        ))
        .await;
    let insert =
        |images: i32| format!("SET LOCAL ROLE {role}; {INSERT} VALUES ('a lake', {images}, '7')");

    stage.sql(&insert(2)).await;
    let refused = stage.refusal_of(&insert(2)).await;

    assert_eq!(refused[0], "PT402");
    assert_eq!(
        stage.book("user:7").await,
        "left 1 reserved 2 captured 0 refunded 0"
    );
    stage
        .sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

#[tokio::test]
async fn of_what_no_picture_can_come_nothing_is_reserved() {
    let stage = ledger(&[("user:7", 1)]).await;
    let rows = [
        ("numImagesPerExample", "0"),
        ("numImagesPerExample", "-3"),
        ("numImagesPerExample", "100000"),
        ("status", "'completed'"),
        ("status", "'canceled'"),
    ];

    for (column, value) in rows {
        stage
            .sql(&format!(
                r#"INSERT INTO photo_generation_queue ("basePrompt", "userId", "{column}") VALUES ('a', '7', {value})"#
            ))
            .await;
    }
    for payload in [r#"{"numImages": 1e300}"#, r#"{"numImages": -1}"#] {
        stage
            .sql(&format!(
                r#"INSERT INTO photo_generation_queue ("userId", type, payload)
                   VALUES ('7', 'image_generation', '{payload}')"#
            ))
            .await;
    }

    assert_eq!(
        stage.book("user:7").await,
        "left 1 reserved 0 captured 0 refunded 0"
    );
}

#[tokio::test]
async fn the_other_types_say_in_their_payload_how_many_images_they_pay_for() {
    let stage = ledger(&[("user:7", 10)]).await;

    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("userId", type, payload) VALUES
                   ('7', 'image_generation', '{"prompts": ["a", "b", "c"]}'),
                   ('7', 'image_edit', '{"numImages": 2}'), ('7', 'tryon', '{"numImages": 9}')"#,
        )
        .await;

    assert_eq!(
        stage.book("user:7").await,
        "left 4 reserved 6 captured 0 refunded 0"
    );
}

#[tokio::test]
async fn more_is_never_taken_back_than_is_left() {
    let stage = ledger(&[("user:7", 10)]).await;
    stage.job("a lake", 4).await;

    let refused = stage
        .refusal_of("SELECT photo_generation_grant_credits('user:7', -7)")
        .await;
    assert_eq!(refused[0], "PT402");
    stage.grant("user:7", -6).await;

    assert_eq!(
        stage.book("user:7").await,
        "left 0 reserved 4 captured 0 refunded 0"
    );
    let refused = stage
        .refusal_of("SELECT photo_generation_grant_credits('7', 5)")
        .await;
    assert!(refused[1].contains("no tenant"), "{refused:?}");
}

#[tokio::test]
async fn an_id_that_comes_again_is_another_job() {
    let stage = ledger(&[("user:7", 10), ("user:8", 10)]).await;
    let first = stage.job("a lake", 2).await;
    stage
        .sql("TRUNCATE photo_generation_queue RESTART IDENTITY CASCADE")
        .await;

    stage
        .sql(&format!("{INSERT} VALUES ('a hill', 3, '8')"))
        .await;
    let again = "SELECT max(id) FROM photo_generation_queue";
    assert_eq!(stage.number(again).await, first);
    stage.image(first, 1, "stored").await;
    stage.set_status(first, "completed").await;

    assert_eq!(
        stage.book("user:7").await,
        "left 10 reserved 0 captured 0 refunded 2"
    );
    assert_eq!(
        stage.book("user:8").await,
        "left 9 reserved 0 captured 1 refunded 2"
    );
}
