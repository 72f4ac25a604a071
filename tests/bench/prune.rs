//! A queue of a million ended jobs is pruned to ten thousand while a worker works, an app inserts and claims
//! are timed: `scripts/bench prune`.

use crate::load;

const JOBS: i64 = 1_000_000;
const KEPT: i64 = 10_000;

pub(crate) async fn measure() {
    let report = load::measure(JOBS, KEPT).await;
    println!("{JOBS} ended jobs pruned to {KEPT}, with an image and a call each");
    report.print();
    println!(
        "  against what must hold: claim p99 {:.2} of 20 ms, lock wait {:.2} of 100 ms",
        report.claims.at(0.99) / 20.0,
        report.waits.held.as_secs_f64() / load::LONGEST_WAIT.as_secs_f64()
    );
}
