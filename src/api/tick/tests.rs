use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::db::listener::Doorbell;
use crate::domain::Occupation;

/// A worker of which a test says what it does, and somebody who waits for it.
struct Waiting {
    bell: Arc<Doorbell>,
    occupation: watch::Sender<Occupation>,
    waits: JoinHandle<()>,
}

fn waiting(occupation: Occupation) -> Waiting {
    let bell = Arc::new(Doorbell::default());
    let occupation = watch::Sender::new(occupation);
    let worker = WorkerHandle {
        bell: bell.clone(),
        occupation: occupation.subscribe(),
    };
    Waiting {
        bell,
        occupation,
        waits: tokio::spawn(async move { until_idle(&worker).await }),
    }
}

impl Waiting {
    /// The bell rings, and a look ends like this.
    async fn look(&self, running: usize, due: bool) {
        self.bell.rung().await;
        self.say(running, due);
    }

    fn say(&self, running: usize, due: bool) {
        self.occupation.send_modify(|said| {
            said.looks += 1;
            said.running = running;
            said.due = due;
        });
    }
}

#[tokio::test]
async fn a_look_that_may_have_begun_before_is_not_believed() {
    let waiting = waiting(Occupation::default());

    waiting.look(0, false).await;
    // It asks for another one, and that finds a job.
    waiting.look(1, false).await;
    tokio::task::yield_now().await;
    assert!(!waiting.waits.is_finished());

    waiting.say(0, true);
    tokio::task::yield_now().await;
    assert!(!waiting.waits.is_finished());

    waiting.say(0, false);
    waiting.waits.await.unwrap();
}

#[tokio::test]
async fn nobody_waits_for_a_worker_that_has_ended() {
    let Waiting {
        occupation, waits, ..
    } = waiting(Occupation {
        running: 1,
        ..Occupation::default()
    });

    drop(occupation);

    waits.await.unwrap();
}
