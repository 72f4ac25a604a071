//! Who comes first: by priority as it is stored, and by age.

use crate::harness::Stage;

/// The prompts in the order in which one worker, that has one place, takes them.
async fn order_of(rows: &str) -> String {
    let stage = Stage::new().await;
    stage
        .sql(&format!(
            r#"INSERT INTO photo_generation_queue ("basePrompt", priority, "createdAt", "numImagesPerExample")
               SELECT prompt, priority, now() - age, 1
               FROM (VALUES {rows}) AS row (prompt, priority, age)"#
        ))
        .await;
    let worker = stage.worker_with(|settings| settings.concurrency = 1).await;
    stage.until_all_ended().await;
    worker.stop().await;
    let prompts: Vec<String> = stage
        .simulator
        .log()
        .iter()
        .map(|call| call.prompt.clone())
        .collect();
    prompts.join(", ")
}

#[tokio::test]
async fn urgent_comes_first_and_batch_last() {
    let rows = "('batch', 'batch', interval '3 s'), ('normal', 'normal', interval '2 s'),
                ('urgent', 'urgent', interval '1 s')";

    assert_eq!(order_of(rows).await, "urgent, normal, batch");
}

#[tokio::test]
async fn a_word_that_nobody_knows_and_none_count_as_normal() {
    let rows = "('normal', 'normal', interval '4 s'), ('none', NULL, interval '5 s'),
                ('asap', 'asap', interval '3 s'), ('empty', '', interval '2 s'),
                ('loud', 'URGENT', interval '1 s'), ('batch', 'batch', interval '1 hour'),
                ('late', 'batch', interval '6 s'), ('urgent', 'urgent', interval '0 s')";

    assert_eq!(
        order_of(rows).await,
        "batch, urgent, none, normal, asap, empty, loud, late"
    );
}

#[tokio::test]
async fn priority_is_a_head_start_and_age_overtakes_it() {
    let rows =
        "('urgent now', 'urgent', interval '0'), ('urgent before', 'urgent', interval '1 minute'),
                ('normal, 11 minutes', 'normal', interval '10 minutes 30 s'),
                ('normal, 9 minutes', 'normal', interval '9 minutes 30 s'),
                ('batch, 41 minutes', 'batch', interval '40 minutes 15 s'),
                ('batch, 31 minutes', 'batch', interval '31 minutes'),
                ('normal now', 'normal', interval '0'), ('batch now', 'batch', interval '0')";

    assert_eq!(
        order_of(rows).await,
        "urgent before, normal, 11 minutes, batch, 41 minutes, urgent now, normal, 9 minutes, \
         batch, 31 minutes, normal now, batch now"
    );
}
