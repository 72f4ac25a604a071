//! Tells apps that their jobs have ended: takes the messages that triggers have written, sends them, and
//! writes down what became of each.
//!
//! No transaction is open while a receiver is waited for: a message is taken for a minute, and whoever dies
//! with it is followed by another worker, which sends it again under the same id. A slow receiver has four
//! of the places here at most, a tenant eight whatever its receivers are called, and neither delays the
//! others or any job.
//!
//! A worker without `WEBHOOK_SECRET` sends nothing, since nobody could tell its messages from a stranger's:
//! they wait for one that has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::{Context, Until, jitter, lines};
use crate::db::webhooks::{self, Message, Parties, Room};
use crate::db::{DbError, persist};
use crate::domain::webhook;
use crate::webhooks::{self as post, SendError, Sender};

/// Messages under way from this process: each is a socket and 20 kB.
const AT_ONCE: usize = 32;
/// Of these to one host, so that eight slow ones do not delay the ninth.
const TO_A_HOST: usize = 4;
/// Of these of one tenant: names of hosts cost nothing, so no number of them gets more than a quarter.
const OF_A_TENANT: usize = 8;
/// A worker that has drained the queue sends what is due, for no longer than this.
const LAST_ROUND: Duration = Duration::from_secs(30);
/// One that is told to stop lets end what is under way: most receivers answer within a second.
const LANDING: Duration = Duration::from_secs(5);

/// Delivers whenever something is due, until `closing` rings and the last round is over.
pub(super) async fn deliver(context: Arc<Context>, closing: CancellationToken) {
    let Some(sender) = context.tools.sender.clone() else {
        return complain(&context, &closing).await;
    };
    let mut desk = Desk {
        context: context.clone(),
        sender,
        under_way: JoinSet::new(),
        places: HashMap::new(),
    };
    while !closing.is_cancelled() {
        tokio::select! {
            () = context.messages.notified() => desk.send_what_is_due().await,
            () = desk.landed() => desk.send_what_is_due().await,
            () = closing.cancelled() => {}
        }
    }
    let is_drained = context.settings.until == Until::Drained;
    if is_drained {
        desk.look_once_more().await;
    }
    while !desk.under_way.is_empty() {
        desk.landed().await;
        if is_drained {
            desk.send_what_is_due().await;
        }
    }
}

/// Waits for the end of [`deliver`]; what is not delivered by then is left to other workers.
pub(super) async fn last_round(context: &Context, postman: AbortOnDropHandle<()>) {
    let patience = match context.settings.until {
        Until::Drained => LAST_ROUND,
        Until::Stopped => LANDING,
    };
    let all_the_same = context.shutdown.abort.cancelled();
    tokio::select! {
        _ = timeout(patience, postman) => {}
        () = all_the_same => {}
    }
}

/// Once: whoever reads it has one thing to do.
async fn complain(context: &Context, closing: &CancellationToken) {
    tokio::select! {
        () = context.messages.notified() => tracing::warn!(
            "messages to apps wait, and this worker cannot sign them: set WEBHOOK_SECRET"
        ),
        () = closing.cancelled() => {}
    }
}

struct Desk {
    context: Arc<Context>,
    sender: Sender,
    under_way: JoinSet<()>,
    /// Who has the places of those under way.
    places: HashMap<Id, Parties>,
}

impl Desk {
    /// The next message is done with; waits for ever if none is under way.
    async fn landed(&mut self) {
        let task = match self.under_way.join_next_with_id().await {
            Some(Ok((task, ()))) => task,
            // A panic: its message is sent again in a minute.
            Some(Err(error)) => {
                tracing::error!(%error, "a message's task died");
                error.id()
            }
            None => return std::future::pending().await,
        };
        self.places.remove(&task);
    }

    /// As a sweep does before it rings, of which there may be none any more.
    async fn look_once_more(&mut self) {
        if let Err(error) = webhooks::make_ready(self.context.db()).await {
            tracing::warn!(%error, "could not look for messages to apps that are due");
        }
        self.send_what_is_due().await;
    }

    /// Fills the places. What fails is tried again with the next sweep.
    async fn send_what_is_due(&mut self) {
        while self.under_way.len() < AT_ONCE {
            match self.take().await {
                Ok(messages) if messages.is_empty() => return,
                Ok(messages) => messages.into_iter().for_each(|message| self.send(message)),
                Err(error) => {
                    tracing::warn!(%error, "could not look for messages to apps, trying again");
                    return;
                }
            }
        }
    }

    async fn take(&self) -> Result<Vec<Message>, DbError> {
        let room = Room {
            free: number(AT_ONCE - self.under_way.len()),
            of_a_host: number(TO_A_HOST),
            of_a_tenant: number(OF_A_TENANT),
        };
        let under_way: Vec<Parties> = self.places.values().cloned().collect();
        webhooks::take(self.context.db(), room, &under_way).await
    }

    fn send(&mut self, message: Message) {
        let parties = message.parties();
        let (context, sender) = (self.context.clone(), self.sender.clone());
        let task = async move { send(&context, &sender, &message).await };
        let task = self.under_way.spawn(task.in_current_span());
        self.places.insert(task.id(), parties);
    }
}

/// One try, and what becomes of the message.
async fn send(context: &Context, sender: &Sender, message: &Message) {
    let begun = Instant::now();
    let sent = sender
        .send(post::Message {
            id: message.id,
            url: &message.url,
            timestamp: message.now,
            body: &message.body,
        })
        .await;
    let again = sent.err().and_then(|error| wait(message, error));
    let written = persist(|| async {
        let db = context.db();
        match sent {
            Ok(status) => webhooks::delivered(db, message, status.as_u16()).await,
            Err(error) => {
                let status = error.status().map(|status| status.as_u16());
                webhooks::failed(db, message, status, &error.to_string(), again).await
            }
        }
    });
    if let Err(error) = written.await {
        tracing::error!(%error, webhook = %message.id, "the database refused the end of a message");
    }
    match sent {
        Ok(_) => lines::webhook_delivered(message, begun.elapsed()),
        Err(error) => lines::webhook_failed(message, error, again),
    }
}

/// Until the next try, if there is one.
fn wait(message: &Message, error: SendError) -> Option<Duration> {
    if error.is_final() {
        return None;
    }
    let tries = u32::try_from(message.tries).unwrap_or_default();
    webhook::after_failure(tries, error.stated_wait(), jitter())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
