use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::*;

const LONG: Duration = Duration::from_mins(1);
const PATIENT: Patience = Patience {
    stall: LONG,
    whole: LONG,
};
/// Far more than may ever be held.
const PICTURE: u64 = 64 * 1024 * 1024;

fn entries() -> Vec<Entry> {
    vec![Entry {
        name: "image-1.png".to_owned(),
        key: ObjectKey::parse("none/1.png").expect("a key"),
        bytes: PICTURE,
    }]
}

/// A picture of zeros that is as long as told, and counts what was read of it.
fn counted(
    length: u64,
) -> (
    Arc<AtomicU64>,
    impl Fn(&ObjectKey) -> io::Result<Counted> + Send + 'static,
) {
    let read = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&read);
    let open = move |_: &ObjectKey| Ok(Counted(Arc::clone(&counter), io::repeat(0).take(length)));
    (read, open)
}

struct Counted(Arc<AtomicU64>, io::Take<io::Repeat>);

impl Read for Counted {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.1.read(bytes)?;
        self.0.fetch_add(read as u64, Ordering::SeqCst);
        Ok(read)
    }
}

#[tokio::test]
async fn all_of_it_comes() {
    let entries = entries();
    let length = size(&entries);
    let (_, open) = counted(PICTURE);
    let (chunks, thread) = produce(entries, open, PATIENT);

    let sizes: Vec<usize> = whole(chunks, length)
        .map_ok(|chunk| chunk.len())
        .try_collect()
        .await
        .expect("nothing fails");

    assert_eq!(sizes.iter().sum::<usize>() as u64, length);
    assert!(sizes.iter().all(|&size| size <= CHUNK));
    thread.await.expect("ends").expect("well");
}

/// It waits with a full queue, one chunk in its hand and one begun; and is then given up.
#[tokio::test]
async fn a_client_that_takes_nothing_stops_the_thread_and_is_given_up() {
    let (read, open) = counted(PICTURE);

    let patience = Patience {
        stall: Duration::from_millis(50),
        ..PATIENT
    };
    let (chunks, thread) = produce(entries(), open, patience);
    let error = thread.await.expect("ends").expect_err("is given up");

    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let held = (QUEUE as u64 + 3) * CHUNK as u64;
    let read = read.load(Ordering::SeqCst);
    assert!(read <= held, "{read} bytes were read for nobody");
    drop(chunks);
}

/// It would need ten seconds, and never lets a chunk wait for long.
#[tokio::test]
async fn a_client_that_takes_a_little_now_and_then_is_given_up_in_the_end() {
    let (read, open) = counted(PICTURE);
    let patience = Patience {
        whole: Duration::from_millis(200),
        ..PATIENT
    };
    let (mut chunks, thread) = produce(entries(), open, patience);
    let mut taken = 0;

    while let Some(chunk) = chunks.recv().await {
        taken += chunk.len() as u64;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let error = thread.await.expect("ends").expect_err("is given up");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(taken > 0 && read.load(Ordering::SeqCst) < PICTURE);
}

#[test]
fn a_large_archive_may_take_its_time() {
    assert_eq!(Patience::with(0).whole, Duration::from_mins(1));
    let gigabyte = Patience::with(1024 * 1024 * 1024);
    assert_eq!(gigabyte.whole, Duration::from_secs(60 + 32 * 1024));
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_thread() {
    let (read, open) = counted(PICTURE);
    let (mut chunks, thread) = produce(entries(), open, PATIENT);
    chunks.recv().await.expect("a chunk");

    drop(chunks);
    let error = thread.await.expect("ends").expect_err("has nobody");

    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(read.load(Ordering::SeqCst) < PICTURE / 10);
}

#[tokio::test]
async fn a_read_that_fails_breaks_the_body_off() {
    let entries = entries();
    let length = size(&entries);
    let (_, open) = counted(PICTURE / 2);
    let (chunks, thread) = produce(entries, open, PATIENT);

    let pieces: Vec<_> = whole(chunks, length).collect().await;

    let (last, before) = pieces.split_last().expect("something");
    assert!(last.is_err(), "a clean end");
    assert!(before.iter().all(Result::is_ok));
    thread.await.expect("ends").expect_err("too short");
}
