use chrono::TimeDelta;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Looks every five seconds; the other worker's row says these seconds at each look. Returns at
/// which looks it counts as dead.
fn deaths(renewals: &[i64]) -> Vec<usize> {
    let start = Instant::now();
    let mut watch = Watch::new(Rhythm::default());
    let run = Uuid::from_u128(1);
    let dead_at = |(look, &renewed): (usize, &i64)| {
        let seen = Seen {
            run,
            renewed_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(renewed),
            holds_jobs: true,
            has_calls: false,
        };
        let now = start + SECOND * 5 * u32::try_from(look).unwrap();
        (!watch.dead(&[seen], now).is_empty()).then_some(look)
    };
    renewals.iter().enumerate().filter_map(dead_at).collect()
}

#[test]
fn a_run_is_dead_when_it_did_not_renew_while_we_watched_for_thirty_seconds() {
    assert_eq!(deaths(&[100; 9]), [6, 7, 8]);
}

#[test]
fn a_run_that_renews_lives_whatever_the_clocks_say() {
    assert_eq!(
        deaths(&[100, 105, 9_000_000, 9_000_005, 3, 8, 13, 18, 23]),
        [] as [usize; 0]
    );
}

#[test]
fn after_a_gap_the_watch_begins_anew() {
    let start = Instant::now();
    let mut watch = Watch::new(Rhythm::default());
    let seen = [Seen {
        run: Uuid::from_u128(1),
        renewed_at: DateTime::UNIX_EPOCH,
        holds_jobs: true,
        has_calls: false,
    }];

    let mut dead_at = |seconds| !watch.dead(&seen, start + SECOND * seconds).is_empty();

    assert!(!dead_at(0));
    assert!(
        !dead_at(45),
        "the database was away for 45 s, nobody could renew"
    );
    assert!(!dead_at(50));
    assert!(!dead_at(60));
    assert!(!dead_at(70));
    assert!(dead_at(76));
}
