use std::time::Duration;

use futures_util::FutureExt as _;

use super::*;
use crate::db::ledger::Wait;

fn model() -> Model {
    Model::from_name("gemini-2.5-flash-image").unwrap()
}

async fn told(place: &mut Place, why: Scarce) {
    let length = Some(Duration::from_secs(1));
    let gate = place.ask(async { Ok(Gate::Wait(Wait { length, why })) });
    assert!(matches!(gate.await, Ok(Gate::Wait(_))));
}

#[tokio::test]
async fn one_is_first_and_the_next_follows_when_it_leaves() {
    let lines = Lines::default();
    let (mut first, mut second) = (lines.join(&model()), lines.join(&model()));
    first.come_first().await;

    assert_eq!(second.come_first().now_or_never(), None);
    drop(first);

    second.come_first().await;
}

#[tokio::test]
async fn a_line_that_waits_for_what_the_fleet_shares_is_crowded_until_it_is_shorter() {
    let lines = Lines::default();
    let (mut first, second) = (lines.join(&model()), lines.join(&model()));
    assert!(lines.crowded().is_empty(), "nobody was told to wait");

    told(&mut first, Scarce::Budget).await;
    assert_eq!(lines.crowded(), [model().name()]);
    drop(first);

    assert!(lines.crowded().is_empty());
    lines.shorter.notified().await;
    drop(second);
}

#[tokio::test]
async fn the_pace_of_one_process_crowds_no_line() {
    let lines = Lines::default();
    let (mut first, _second) = (lines.join(&model()), lines.join(&model()));

    told(&mut first, Scarce::Pace).await;

    assert!(lines.crowded().is_empty());
}

#[tokio::test]
async fn who_waits_for_an_answer_for_long_lets_the_next_one_ask() {
    let lines = Lines::default();
    let (mut first, mut second) = (lines.join(&model()), lines.join(&model()));
    first.come_first().await;
    let never = first.ask(std::future::pending());

    tokio::select! {
        _ = never => unreachable!("there is no answer"),
        () = second.come_first() => {}
    }
}

#[tokio::test]
async fn a_call_that_ends_wakes_who_waits_for_its_place() {
    let lines = Lines::default();
    let place = lines.join(&model());
    let long = Duration::from_hours(1);

    lines.call_ended(&model());
    place.wait(long, Scarce::Concurrency).await;

    lines.call_ended(&model());
    let waits = place.wait(long, Scarce::Budget);
    assert_eq!(waits.now_or_never(), None, "a minute is not over by that");
}

#[tokio::test]
async fn a_job_that_an_operator_paused_makes_no_line_crowded() {
    let lines = Lines::default();
    let (mut paused, _other) = (lines.join(&model()), lines.join(&model()));

    told(&mut paused, Scarce::Leave).await;

    assert!(lines.crowded().is_empty());
}
