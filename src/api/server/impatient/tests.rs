use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;

/// What the other side may leave lying.
const ROOM: usize = 16;
const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn who_takes_nothing_is_given_up() {
    let (near, _far) = duplex(ROOM);
    let mut near = Impatient::new(near, SHORT);
    near.write_all(&[0; ROOM]).await.unwrap();

    let error = near.write_all(&[0]).await.unwrap_err();

    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn who_takes_all_gets_all() {
    let (near, mut far) = duplex(ROOM);
    let mut near = Impatient::new(near, LONG);
    let sent: Vec<u8> = (0..200).collect();
    let expected = sent.clone();
    let writing = tokio::spawn(async move { near.write_all(&sent).await });

    let mut taken = Vec::new();
    far.read_to_end(&mut taken).await.unwrap();

    assert_eq!(taken, expected);
    writing.await.unwrap().unwrap();
}

/// Each write that waits has the whole time.
#[tokio::test]
async fn silence_between_two_writes_is_nobodys_fault() {
    let (near, mut far) = duplex(ROOM);
    let mut near = Impatient::new(near, SHORT);
    near.write_all(&[0; ROOM]).await.unwrap();
    // One write waits, and goes on as soon as somebody reads.
    let reading = tokio::spawn(async move {
        let mut taken = [0; ROOM + 1];
        far.read_exact(&mut taken).await.unwrap();
        far
    });
    near.write_all(&[0]).await.unwrap();
    let far = reading.await.unwrap();
    tokio::time::sleep(2 * SHORT).await;
    near.write_all(&[0; ROOM]).await.unwrap();
    let began = Instant::now();

    near.write_all(&[0]).await.unwrap_err();

    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    drop(far);
}
