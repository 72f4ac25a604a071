//! A bad line to a server: what it does to the first connections, it does in the same place each time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What happens to a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It never gets an answer.
    Silence,
    /// It is told to come back later, as S3 says it.
    SlowDown,
    /// It is reset after so many bytes of what it sends.
    ResetUpload(u64),
    /// It is reset after so many bytes of the answer.
    ResetDownload(u64),
    /// It ends properly after so many bytes of the answer, which is too soon.
    CutDownload(u64),
}

/// Stands in front of a server; ends when it is dropped.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// The first `times` connections have the fault.
    pub(super) async fn start(server: SocketAddr, fault: Fault, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut lines = JoinSet::new();
            loop {
                let (visitor, _) = listener.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::Relaxed);
                let fault = (number < times).then_some(fault);
                // Who hangs up ends it; nobody waits for it.
                lines.spawn(async move { drop(connect(visitor, server, fault).await) });
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    /// How many came.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn connect(
    mut visitor: TcpStream,
    server: SocketAddr,
    fault: Option<Fault>,
) -> std::io::Result<()> {
    let Some(fault) = fault else {
        let mut server = TcpStream::connect(server).await?;
        copy_bidirectional(&mut visitor, &mut server).await?;
        return Ok(());
    };
    match fault {
        Fault::Silence => {
            let mut nothing = [0; 4096];
            while visitor.read(&mut nothing).await? > 0 {}
            Ok(())
        }
        Fault::SlowDown => slow_down(visitor).await,
        Fault::ResetUpload(after) => {
            let mut sunk = tokio::io::sink();
            copy(&mut (&mut visitor).take(after), &mut sunk).await?;
            visitor.set_zero_linger()
        }
        Fault::ResetDownload(after) => {
            let visitor = answer_in_part(visitor, server, after).await?;
            visitor.set_zero_linger()
        }
        Fault::CutDownload(after) => {
            let mut visitor = answer_in_part(visitor, server, after).await?;
            visitor.shutdown().await
        }
    }
}

/// The whole request goes through, and so many bytes of the answer.
async fn answer_in_part(
    visitor: TcpStream,
    server: SocketAddr,
    after: u64,
) -> std::io::Result<TcpStream> {
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    let (mut from_visitor, mut to_visitor) = visitor.into_split();
    let asking = async {
        copy(&mut from_visitor, &mut to_server).await?;
        // The visitor has said all it has to say, and waits.
        std::future::pending::<std::io::Result<()>>().await
    };
    let answering = async {
        copy(&mut (&mut from_server).take(after), &mut to_visitor).await?;
        to_visitor.flush().await
    };
    tokio::select! {
        asked = asking => asked?,
        answered = answering => answered?,
    }
    Ok(from_visitor.reunite(to_visitor).unwrap())
}

/// Takes a whole request, or a reset would take the answer back.
async fn slow_down(mut visitor: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let length = loop {
        if visitor.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let stated = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            break head.len() + 4 + stated.map_or(0, |length| length.trim().parse().unwrap());
        }
    };
    while request.len() < length && visitor.read_buf(&mut request).await? > 0 {}
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code>\
                <Message>Please reduce your request rate.</Message></Error>";
    let answer = format!(
        "HTTP/1.1 503 Slow Down\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    visitor.write_all(answer.as_bytes()).await?;
    visitor.shutdown().await
}
