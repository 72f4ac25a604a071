use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn kept(text: &str) -> Kept {
    Kept {
        text: text.into(),
        width: 3,
        height: 2,
    }
}

/// Asks for content `n`, made as `text`, and says whether it had to be made.
async fn made(cache: &Cache, n: u8, text: &str) -> bool {
    let times = AtomicUsize::new(0);
    let make = async {
        times.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(kept(text))
    };

    let got = cache.get_or_make([n; 32], make).await.expect("is made");

    assert_eq!(got, kept(text));
    times.into_inner() == 1
}

#[tokio::test]
async fn what_was_made_once_is_given_again() {
    let cache = Cache::new(100);

    assert!(made(&cache, 1, "one").await);
    assert!(!made(&cache, 1, "one").await);
    assert!(made(&cache, 2, "two").await);
}

#[tokio::test]
async fn the_longest_unused_goes_when_the_bytes_run_out() {
    let cache = Cache::new(8);
    made(&cache, 1, "aaaa").await;
    made(&cache, 2, "bbbb").await;
    made(&cache, 1, "aaaa").await;

    made(&cache, 3, "cccc").await;

    assert!(!made(&cache, 1, "aaaa").await);
    assert!(made(&cache, 2, "bbbb").await);
}

#[tokio::test]
async fn a_text_larger_than_the_cache_is_given_but_not_kept() {
    let cache = Cache::new(3);

    assert!(made(&cache, 1, "long").await);
    assert!(made(&cache, 1, "long").await);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let cache = Cache::new(100);

    let failed = cache.get_or_make([1; 32], async { Err("broken") }).await;

    assert_eq!(failed, Err("broken"));
    assert!(cache.shelf().entries.is_empty());
    assert!(made(&cache, 1, "one").await);
}

#[tokio::test]
async fn two_who_want_the_same_at_once_make_it_once() {
    let cache = Cache::new(100);
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let slow = async {
        wait.await.expect("told to go on");
        Ok::<_, Infallible>(kept("slow"))
    };
    let never = async { unreachable!("somebody else is making it") };

    let (first, second, ()) = tokio::join!(
        cache.get_or_make([1; 32], slow),
        cache.get_or_make::<Infallible>([1; 32], never),
        async { go.send(()).expect("is awaited") },
    );

    assert_eq!(first.expect("is made"), second.expect("is shared"));
}
