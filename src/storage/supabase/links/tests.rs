use std::time::Duration;

use super::*;

fn key(number: usize) -> ObjectKey {
    ObjectKey::parse(&format!("{number}.png")).expect("a key")
}

fn end(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn the_first_url_for_an_end_is_handed_out_again() {
    let mut known = Known::default();

    let first = known.learn(end(1), vec![(key(1), "one".to_owned())]);
    let again = known.learn(end(1), vec![(key(1), "later".to_owned())]);

    let one = HashMap::from([(key(1), "one".to_owned())]);
    assert_eq!((&first, &again), (&one, &one));
    assert_eq!(known.of(&[key(1), key(2)], end(1)), one);
    assert!(known.of(&[key(1)], end(2)).is_empty());
}

#[test]
fn what_nobody_looks_at_is_forgotten_and_no_more_is_kept_than_two_halves() {
    let mut known = Known::default();
    for number in 0..3 * HALF {
        known.learn(end(1), vec![(key(number), String::new())]);
        // Somebody looks at this one all the time.
        known.of(&[key(0)], end(1));
        assert!(known.young.len() + known.old.len() <= 2 * HALF + 1);
    }

    let left = known.of(&[key(0), key(1), key(3 * HALF - 1)], end(1));
    assert_eq!(left.len(), 2);
    assert!(!left.contains_key(&key(1)));
}
