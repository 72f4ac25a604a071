//! A spool that is full: no more is bought than can be kept, and everybody is told why.

use crate::harness::Stage;

#[tokio::test]
async fn a_full_spool_stops_claiming_says_why_and_goes_on_afterwards() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    let worker = stage.process(&["--spool-max-mb=1", "--worker-concurrency=1"]);
    worker.said("worker started").await;
    stage.storage_goes_away();
    stage.job("noise [sim:huge@1]", 1).await;
    stage.until_spooled(1).await;
    worker.said("claiming stopped").await;
    stage
        .until(r#"SELECT "fullSince" IS NOT NULL FROM photo_generation_spools"#)
        .await;

    let waiting = stage.job("a lake", 1).await;
    // Long enough for what must not happen: it looks at the queue at the latest now.
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    assert_eq!(stage.end_of(waiting).await, "pending 0/ attempts 0 lease 0");
    assert_eq!(stage.simulator.log().len(), 1);
    let stopped = worker.lines();
    let stopped: Vec<_> = stopped
        .iter()
        .filter(|line| line.contains("claiming stopped"))
        .collect();
    assert_eq!(stopped.len(), 1, "{stopped:?}");
    assert!(stopped[0].contains("SPOOL_MAX_MB"), "{stopped:?}");

    stage.storage_comes_back();
    worker.said("claiming goes on").await;
    stage.until_all_ended().await;
    stage.until_nothing_waits("usual").await;
    stage.assert_sound(2).await;
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}

/// As many calls are made as there are jobs: the quota is used.
#[tokio::test]
async fn while_there_is_room_claiming_goes_on() {
    let stage = Stage::new().await;
    stage.without_cap().await;
    let worker = stage.worker().await;
    stage.storage_goes_away();
    for number in 1..=12 {
        stage.job(&format!("lake {number}"), 1).await;
    }

    stage.until_spooled(12).await;

    stage.storage_comes_back();
    stage.until_all_ended().await;
    stage.until_nothing_waits("usual").await;
    stage.assert_sound(12).await;
    worker.stop().await;
}

/// Calls of an attempt that began before: the job waits, and is not bought for nothing.
#[tokio::test]
async fn an_attempt_makes_no_more_calls_than_there_is_room_for() {
    let stage = Stage::new().await;
    let worker = stage.process(&["--spool-max-mb=1", "--worker-concurrency=1"]);
    worker.said("worker started").await;
    stage.storage_goes_away();
    let job = stage.job("noise [sim:huge@1] [sim:slow=2s@2-4]", 20).await;
    stage
        .until(&format!(
            "SELECT status = 'pending' FROM photo_generation_queue WHERE id = {job}"
        ))
        .await;
    let made = stage.simulator.log().len();
    assert!(made < 20, "all {made} calls were made");

    stage.storage_comes_back();
    stage.until_all_ended().await;
    assert_eq!(stage.ended_as(job).await, "completed 20/20 attempts 0");
    stage.until_nothing_waits("usual").await;
    stage.assert_sound(20).await;
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}

/// With neither storage nor spool a picture that is paid for is lost: so none is bought.
#[tokio::test]
async fn a_spool_that_cannot_be_written_stops_claiming_too() {
    let stage = Stage::new().await;
    let worker = stage.process(&["--worker-concurrency=1"]);
    worker.said("worker started").await;
    std::fs::write(stage.spool("usual"), b"no directory").unwrap();
    stage.storage_goes_away();
    let job = stage.job("a lake", 1).await;
    worker.said("claiming stopped").await;
    let waiting = stage.job("a wood", 1).await;

    // It is paid for, and tried for a while yet.
    std::fs::remove_file(stage.spool("usual")).unwrap();
    stage.until_spooled(2).await;
    stage.storage_comes_back();
    stage.until_all_ended().await;

    for job in [job, waiting] {
        assert_eq!(stage.ended_as(job).await, "completed 1/1 attempts 0");
    }
    stage.until_nothing_waits("usual").await;
    stage.assert_sound(2).await;
    assert_eq!(worker.exit_code_after("TERM").await, Some(0));
}
