//! Connections that die without a word: no error, no answer, for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::Stage;

/// Stands between a worker and its database.
struct Proxy {
    port: u16,
    /// Connections older than this generation pass nothing on any more.
    frozen: Arc<watch::Sender<u32>>,
}

impl Proxy {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let frozen = Arc::new(watch::Sender::new(0));
        let generations = frozen.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&server).await.unwrap();
                let born = *generations.borrow();
                let (client_in, client_out) = client.into_split();
                let (server_in, server_out) = server.into_split();
                tokio::spawn(pass(client_in, server_out, generations.subscribe(), born));
                tokio::spawn(pass(server_in, client_out, generations.subscribe(), born));
            }
        });
        Self { port, frozen }
    }

    fn freeze_all(&self) {
        self.frozen.send_modify(|generation| *generation += 1);
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<u32>,
    born: u32,
) {
    let mut buffer = [0; 8192];
    let mut silent = std::pin::pin!(async move {
        frozen
            .wait_for(|generation| *generation > born)
            .await
            .is_ok()
    });
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            // Both ends stay open.
            _ = &mut silent => std::future::pending().await,
        };
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn through(url: &str, port: u16) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_port(Some(port)).unwrap();
    url.into()
}

#[tokio::test]
async fn a_worker_whose_connections_fall_silent_gets_new_ones_and_obeys() {
    let mut stage = Stage::new().await;
    let server = url::Url::parse(&stage.url).unwrap();
    let address = format!("{}:{}", server.host_str().unwrap(), server.port().unwrap());
    let proxy = Proxy::before(address).await;
    stage.url = through(&stage.url, proxy.port);
    let worker = stage.worker().await;
    stage.job("a lake", 1).await;
    stage.until_all_ended().await;

    proxy.freeze_all();
    stage.job("a hill", 1).await;

    // Done again, by new connections only.
    stage.until_all_ended().await;
    stage.assert_sound(2).await;
    proxy.freeze_all();
    timeout(Duration::from_secs(40), worker.stop())
        .await
        .unwrap();
}
