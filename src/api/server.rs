//! The listening server: accepts connections, serves them, and ends without breaking off an answer.
//!
//! Its own loop instead of axum's, which has no time limit for headers nor for clients that never read, no
//! bound on connections, and no end to its patience with the last ones.

mod impatient;
mod open_files;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::impatient::Impatient;
use super::waits::Waits;

/// After an error of accept that is the machine's (no file descriptors left), not the connection's.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// What one server bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The headers of a request arrive within this time, or the connection is closed; also when none
    /// has begun. Clients on slow lines need less than a second, but nginx and the load balancers of
    /// clouds keep a connection for 60 s: one that we close first may break the request that they send
    /// on it at that moment.
    pub header: Duration,
    /// A client that takes nothing for so long of what is sent to it is given up.
    pub write: Duration,
    /// Open connections. More wait in the backlog of the kernel.
    pub connections: usize,
    /// Requests in flight may go on for so long once the server is told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(75),
            write: Duration::from_secs(30),
            connections: 10_000,
            grace: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// The default, with no more connections than this process may have files open.
    pub fn of_this_process() -> Self {
        let limits = Self::default();
        let room = open_files::room().unwrap_or(limits.connections);
        Self {
            connections: limits.connections.min(room),
            ..limits
        }
    }
}

/// How a server is asked to end.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Take no new connection; requests in flight may finish.
    pub stop: CancellationToken,
    /// End at once.
    pub abort: CancellationToken,
}

/// Serves until it is told to stop, and then until the last answer is sent.
pub async fn serve(listener: TcpListener, router: Router, ending: Ending, limits: Limits) {
    let doorman = Doorman {
        service: TowerToHyperService::new(router),
        limits,
        waits: Waits::among(limits.connections),
        graceful: GracefulShutdown::new(),
        cut: CancellationToken::new(),
    };
    // Also where this future is dropped.
    let _cut = doorman.cut.clone().drop_guard();
    let seats = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            () = ending.stop.cancelled() => break,
            accepted = accept(&listener, &seats) => accepted,
        };
        match accepted {
            Ok((stream, peer, seat)) => doorman.let_in(stream, peer, seat),
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted, trying again");
                tokio::select! {
                    () = ending.stop.cancelled() => break,
                    () = tokio::time::sleep(AFTER_ERROR) => {}
                }
            }
        }
    }
    drop(listener);
    let open = doorman.graceful.count();
    tokio::select! {
        () = doorman.graceful.shutdown() => {}
        () = tokio::time::sleep(limits.grace) => {
            tracing::warn!(connections = open, "requests are cut off, they took too long");
        }
        () = ending.abort.cancelled() => {}
    }
}

async fn accept(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let seat = Arc::clone(seats).acquire_owned().await;
    let seat = seat.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, seat))
}

/// It was gone before we came to it.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// Gives each connection a task, in which all its requests are answered.
struct Doorman {
    service: TowerToHyperService<Router>,
    limits: Limits,
    waits: Waits,
    graceful: GracefulShutdown,
    /// Ends all connections where they are.
    cut: CancellationToken,
}

impl Doorman {
    fn let_in(&self, stream: TcpStream, peer: SocketAddr, seat: OwnedSemaphorePermit) {
        // Small answers would wait for an acknowledgement; a socket that cannot is merely slower.
        let _ = stream.set_nodelay(true);
        let (router, waits) = (self.service.clone(), self.waits.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(waits.clone());
            router.call(request)
        });
        let stream = Impatient::new(stream, self.limits.write);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header)
            .serve_connection(TokioIo::new(stream), service);
        let (conversation, cut) = (self.graceful.watch(connection), self.cut.clone());
        tokio::spawn(async move {
            tokio::select! {
                ended = conversation => if let Err(error) = ended {
                    // The client's: it went away, was too slow, or did not speak HTTP.
                    tracing::debug!(%error, "a connection ended");
                },
                () = cut.cancelled() => {}
            }
            drop(seat);
        });
    }
}
