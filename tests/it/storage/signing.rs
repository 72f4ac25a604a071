//! Links that a storage signs anew each time it is asked.

use std::time::{Duration, SystemTime};

use safelight::storage::{Link, ObjectKey};

use super::places::{QUICK, open};
use crate::harness::{Supabase, client};

#[tokio::test]
async fn many_links_take_few_requests_and_the_next_poll_none() {
    let supabase = Supabase::start().await;
    let storage = open(&supabase.arguments(), QUICK);
    let keys: Vec<_> = (0..250)
        .map(|number| ObjectKey::parse(&format!("none/{number}.png")).unwrap())
        .collect();
    for key in &keys {
        storage.put(key, &b"picture"[..]).await.unwrap();
    }
    let now = SystemTime::now();
    let end = now + Duration::from_hours(6);
    let links = async |keys: &[ObjectKey], end| {
        let links = storage.links(keys, now, end).await.unwrap();
        links.unwrap()
    };

    let first = links(&keys, end).await;

    assert_eq!(supabase.signings(), 3);
    assert_eq!(links(&keys, end).await, first);
    assert_eq!(links(&keys[7..9], end).await, first[7..9]);
    assert_eq!(supabase.signings(), 3);
    let later = links(&keys[..1], end + Duration::from_hours(1)).await;
    assert_ne!(later, first[..1]);
    assert_eq!(supabase.signings(), 4);
}

#[tokio::test]
async fn the_link_of_an_object_that_is_gone_finds_nothing_and_spoils_no_other() {
    let supabase = Supabase::start().await;
    let storage = open(&supabase.arguments(), QUICK);
    let [there, gone] = ["a.png", "b.png"].map(|key| ObjectKey::parse(key).unwrap());
    storage.put(&there, &b"picture"[..]).await.unwrap();
    let now = SystemTime::now();

    let end = now + Duration::from_hours(1);
    let links = storage.links(&[gone, there], now, end).await.unwrap();

    let Some([Link::Signed(gone), Link::Signed(there)]) = links.as_deref() else {
        panic!("{links:?}");
    };
    let client = client();
    let status = async |url: &str| client.get(url).send().await.unwrap().status();
    assert!(status(gone).await.is_client_error());
    assert!(status(there).await.is_success());
}
