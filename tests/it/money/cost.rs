//! What calls cost: expected before the answer, counted by its tokens afterwards.

use safelight::domain::Provider;

use super::soon;
use crate::harness::Stage;

/// Every call of a job: what it cost, and with how many tokens.
const COSTS: &str = r#"SELECT string_agg(concat_ws(' ', state, "costUsd", "inputTokens", "inputImageTokens",
        "outputTokens", "outputImageTokens"), ', ' ORDER BY "startedAt") FROM photo_generation_calls"#;

impl Stage {
    /// One of the prices of a model.
    async fn set_price(&self, model: &str, what: &str, price: &str) {
        self.sql(&format!(
            r#"UPDATE photo_generation_prices SET "{what}" = {price} WHERE model = '{model}'"#
        ))
        .await;
    }
}

#[tokio::test]
async fn tokens_are_priced_to_six_decimals_by_their_kind() {
    let stage = Stage::new().await;
    let check = async |arguments: &str, expected: &str| {
        let cost = format!("SELECT photo_generation_cost({arguments}, 0.5)");
        assert_eq!(stage.text(&cost).await, expected, "{arguments}");
    };
    let gemini = "'gemini', 'default', 'gemini-2.5-flash-image'";
    let openai = "'openai', 'default', 'gpt-image-1.5'";

    // As both providers answered: 263 tokens in at 0.30 and 1290 out at 30 a million.
    check(&format!("{gemini}, 263, 258, 1290, 1290"), "0.038779").await;
    check(&format!("{gemini}, 263, NULL, 1290, NULL"), "0.038779").await;
    // 9 of text at 5, 323 of images at 8, 1584 of the picture at 32.
    check(&format!("{openai}, 332, 323, 1584, NULL"), "0.053317").await;
    // 100 of what came were text, at 10.
    check(&format!("{openai}, 332, 323, 1684, 1584"), "0.054317").await;
    // A version of a model costs what the model does; another model does not.
    check(
        "'openai', 'key-1', 'gpt-image-1.5-2026-01-01', 0, 0, 1000, NULL",
        "0.032000",
    )
    .await;
    check(
        "'openai', 'key-1', 'gpt-image-1.50', 0, 0, 1000, NULL",
        "0.5",
    )
    .await;
    // Not said, or without a price: what was expected.
    check(&format!("{openai}, 332, 323, NULL, NULL"), "0.5").await;
    check(&format!("{openai}, NULL, NULL, NULL, NULL"), "0.5").await;
    check(
        "'gemini', 'default', 'gemini-3-pro-image', 263, 258, 1120, 1120",
        "0.5",
    )
    .await;
    // Odd numbers of a provider's make no money.
    check(&format!("{openai}, 10, 999, 0, -5"), "0.000080").await;
}

#[tokio::test]
async fn calls_of_both_providers_cost_what_their_tokens_cost() {
    let stage = Stage::new().await;
    stage.job("a lake", 1).await;
    stage.drain().await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_queue ("basePrompt", "numImagesPerExample", model)
               VALUES ('a lake', 1, 'gpt-image-1.5')"#,
        )
        .await;
    stage.drain_of(Provider::OpenAi).await;

    let calls = stage.text(COSTS).await;

    let said = |call: &str| -> Vec<f64> {
        let numbers = call.split(' ').skip(1);
        numbers.map(|number| number.parse().unwrap()).collect()
    };
    let calls: Vec<_> = calls.split(", ").map(said).collect();
    let [gemini, openai] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    let gemini_cost = gemini[1].mul_add(0.3, 1290.0 * 30.0) / 1e6;
    assert_eq!(gemini[2..], [0.0, 1290.0, 1290.0]);
    assert!((gemini[0] - gemini_cost).abs() < 1e-6, "{gemini:?}");
    let openai_cost = openai[1].mul_add(5.0, 1584.0 * 32.0) / 1e6;
    assert_eq!(openai[2..], [0.0, 1584.0]);
    assert!((openai[0] - openai_cost).abs() < 1e-6, "{openai:?}");
}

#[tokio::test]
async fn a_price_that_is_edited_holds_from_the_next_call_on() {
    let stage = Stage::new().await;
    let model = "gemini-2.5-flash-image";
    stage.set_price(model, "inputPerMillion", "0").await;
    let make = async || {
        stage.job("a lake", 1).await;
        stage.drain().await;
    };

    make().await;
    stage.set_price(model, "outputImagePerMillion", "10").await;
    make().await;
    stage
        .set_price(model, "outputImagePerMillion", "NULL")
        .await;
    stage.set_price(model, "perCall", "0.07").await;
    make().await;
    stage
        .sql(r#"UPDATE photo_generation_limits SET "costPerCall" = 0.01"#)
        .await;
    stage.set_price(model, "outputImagePerMillion", "10").await;
    make().await;

    let costs = r#"SELECT string_agg("costUsd"::text, ' ' ORDER BY "startedAt") FROM photo_generation_calls"#;
    assert_eq!(
        stage.text(costs).await,
        // Of 1290 tokens; without their price what a call is expected to cost; what the operator says wins.
        "0.038700 0.012900 0.070000 0.010000"
    );
}

#[tokio::test]
async fn an_answer_without_a_picture_costs_what_was_expected_or_what_it_used() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    let job = stage
        .job(
            "a lake [sim:empty@1] [sim:safety@2] [sim:429@3] [sim:400@4]",
            4,
        )
        .await;
    stage.until_attempts(job, 1).await;
    stage.go_on(job).await;
    stage.until_status(job, "completed").await;

    let costs = r#"SELECT string_agg(DISTINCT concat_ws(' ', state, accepted, "costUsd"), ', ')
                   FROM photo_generation_calls WHERE state <> 'stored'"#;
    assert_eq!(
        stage.text(costs).await,
        // What was not taken is not billed.
        "empty t 0.039000, error f, limited f, refused t 0.039000"
    );
    worker.stop().await;
}

/// The limit looks at what calls did cost, and at what the next one may.
#[tokio::test]
async fn a_spend_limit_stops_at_the_real_cost() {
    let stage = Stage::new().await;
    stage
        .set_price("gemini-2.5-flash-image", "perCall", "0.01")
        .await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_settings (key, value) VALUES ('dailySpendLimit', '0.1');
               UPDATE photo_generation_limits SET "maxConcurrent" = 1"#,
        )
        .await;
    let worker = stage.worker_with(soon).await;
    let job = stage.job("a lake", 10).await;

    // Two leave room for one more of a cent, which then costs four.
    stage.until_stored(job, 3).await;
    stage.until_status(job, "pending").await;

    let spent = "SELECT photo_generation_spent_today() BETWEEN 0.116 AND 0.117";
    assert_eq!(stage.text(spent).await, "true");
    assert_eq!(stage.simulator.log().len(), 3);
    worker.stop().await;
}

#[tokio::test]
async fn totals_are_right_whether_calls_cost_more_or_less_than_expected() {
    let stage = Stage::new().await;
    let model = "gemini-2.5-flash-image";
    stage
        .sql("INSERT INTO photo_generation_settings (key, value) VALUES ('quotaWindow', '10 milliseconds')")
        .await;
    let today = format!(
        "SELECT concat_ws(' ', cost, cost = photo_generation_spent_today(),
             cost = (SELECT sum(\"costUsd\") FROM photo_generation_calls))
         FROM photo_generation_today('gemini', 'default', '{model}')"
    );
    stage.set_price(model, "inputPerMillion", "0").await;
    for (expected, real, sum) in [("1", "30", "0.038700"), ("0.001", "20", "0.064500")] {
        stage.set_price(model, "perCall", expected).await;
        stage.set_price(model, "outputImagePerMillion", real).await;
        stage.job("a lake", 1).await;
        stage.drain().await;

        assert_eq!(stage.text(&today).await, format!("{sum} t t"));
        for _ in 0..3 {
            stage
                .sql(&format!(
                    "SELECT photo_generation_roll_total('gemini', 'default', '{model}')"
                ))
                .await;
            assert_eq!(stage.text(&today).await, format!("{sum} t t"));
        }
    }
    let rolled = "SELECT calls FROM photo_generation_totals";
    assert_eq!(stage.number(rolled).await, 2);
}

#[tokio::test]
async fn a_picture_in_the_spool_has_cost_what_its_tokens_did() {
    let stage = Stage::new().await;
    let worker = stage.worker_with(soon).await;
    // A file where the folder of the job would be.
    let tenant = stage.photos().join("user=3A7");
    std::fs::write(&tenant, "in the way").unwrap();
    stage.job("a lake", 1).await;
    stage
        .until("SELECT spool IS NOT NULL FROM photo_generation_calls")
        .await;
    let kept = stage.text(COSTS).await;

    std::fs::remove_file(&tenant).unwrap();
    stage.until_all_ended().await;

    assert!(kept.starts_with("calling 0.0387"), "{kept}");
    assert_eq!(stage.text(COSTS).await, kept.replace("calling", "stored"));
    worker.stop().await;
}

#[tokio::test]
async fn an_older_schema_gets_the_prices_and_the_limits_of_every_known_model() {
    let stage = Stage::new().await;
    stage
        .sql(
            r#"DROP TABLE photo_generation_prices CASCADE;
               DELETE FROM photo_generation_limits WHERE provider = 'openai';
               UPDATE photo_generation_limits SET "requestsPerMinute" = 7;
               UPDATE photo_generation_settings SET value = '5' WHERE key = 'version'"#,
        )
        .await;

    let migrated = stage.safelight(&["migrate"]).await;

    assert_eq!(migrated.code, 0, "{migrated:?}");
    let limits = r#"SELECT string_agg(DISTINCT concat_ws(' ', provider, "requestsPerMinute"), ', ')
                    FROM photo_generation_limits"#;
    assert_eq!(stage.text(limits).await, "gemini 7, openai 300");
    let fresh = Stage::new().await;
    for rows in [
        "SELECT string_agg(provider || model, ' ' ORDER BY provider, model) FROM photo_generation_limits",
        r#"SELECT string_agg(concat_ws(' ', model, "perCall", "outputImagePerMillion"), ', ' ORDER BY model)
           FROM photo_generation_prices"#,
    ] {
        assert_eq!(stage.text(rows).await, fresh.text(rows).await);
    }
}
