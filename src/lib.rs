//! safelight makes AI photo generation dependable with nothing but Postgres: an app inserts a row
//! into `photo_generation_queue`, and photos come back.
//!
//! This page is the architecture: the picture, the map, and the invariants, which
//! `tests/it/tidy.rs` checks where a machine can. What users see and how to operate it is in
//! `README.md`; why the tables have their shape is in `migrations/`, why the statements have
//! theirs in `sql/queue/`.
//!
//! # One job's way
//!
//! ```text
//!  INSERT ──> pending ──wake──> claim ──> plan ──> inputs ──> per image:              ──> finish
//!  (an app)      ^             (lease)   (image    (guarded   line ─ calling ─            (batch
//!                │                        rows)     fetch)    CALL ─ decode ─              with it)
//!                │                                            store ─ stored
//!                │                                              └─ or spool, and stored later
//!                └── retry, rate_limited, released, reclaimed: not finished, lease given up
//! ```
//!
//! A worker *claims* due jobs whose model can be served, and holds them by a **lease**: a number
//! that a trigger bumps whenever anybody moves the job in or out of `processing`. Every write
//! names the lease, so a worker that was taken for dead, or an operator's hand-written `UPDATE`,
//! can do no harm. Each paid call is in the **ledger** as `calling`, committed, before the request
//! leaves; it is settled exactly once, by the attempt that made it, by the next attempt, or by a
//! sweep. Storage is the witness for calls whose worker died: the name of the object is known
//! before the call. What a provider lets us know (429, daily quota, bad key) goes to a **limits**
//! row at once, and every claim and every call of the fleet heeds it. Past its `"expiresAt"` no call
//! of a job is begun: the attempt that has it ends it, and where it waits, a sweep.
//!
//! A picture that is paid for while the storage is away is kept in a **spool**, a directory of the worker's
//! machine. Its call stays `calling`, with the spool's name: that is the right to settle it, whoever has the
//! job by then, and no attempt touches it (`worker::spool`). So an outage of the storage costs neither
//! money nor attempts.
//!
//! A try-on takes **steps** before its picture: paid calls that bring no image of the job (`worker::tryon`).
//! They go through the same permission, ledger and spool as those of images, and what one of them found is
//! kept with the job, so that no attempt after it asks again.
//!
//! Where customers pay by **credits**, an insert reserves them in its own transaction, and triggers settle
//! each image under the lock on its job's row: captured with `stored`, given back with the end of the job.
//! So money changes in the transaction that changes the state, whoever's that is (`migrations/2_credits.sql`).
//! The same way the end of a job leaves a message to the app, which the workers deliver (`worker::webhooks`).
//!
//! What the fleet may do together is decided in one place, `photo_generation_budget` in `migrations/`,
//! by counting the ledger: the `calling` row *is* the permission. So there is one commit before the
//! request and nothing to give back or to repair after a crash. A claim looks there first: jobs that
//! could not call are not claimed, not locked, not written to.
//!
//! Whose job is next is decided in one place, too, `photo_generation_claim` in `migrations/`: the
//! tenant for whom the provider has worked least (virtual time, charged by the ledger), never more jobs
//! of one than its cap. Claims of the whole fleet come one after the other, a few milliseconds each; who
//! inserts waits for none of them.
//!
//! Over HTTP the same rows are written and read by [`api`], which knows nothing of workers: enqueueing is
//! an INSERT, answered after its commit; canceling is an UPDATE. What many watch is read once for all of
//! them (`api::hub`): a number per watched job that changes with it, twice a second, and the rows of those
//! that did.
//!
//! # Map, in reading order
//!
//! | folder | what it is | may know |
//! |---|---|---|
//! | [`domain`] | what the product decides: states, requests, answers, outcomes, backoff. No IO, no clock | nothing |
//! | [`db`] | all SQL, one function per statement | domain |
//! | [`providers`] | image models over HTTP, and the simulator that stands in for them | domain |
//! | [`net`] | which machines a stranger's URL may lead to, and the clients that reach no others | nothing |
//! | [`images`] | bytes: pictures from users' URLs, decoding | domain, net |
//! | [`storage`] | objects, and the only way to name one | domain, images |
//! | [`pipeline`] | the steps of an attempt that need no database: inputs, publish | domain, providers, images, storage |
//! | [`webhooks`] | a message to an app: its signature, and how it is sent | net |
//! | [`worker`] | many attempts: claim, work, renew, reclaim, settle | all of these |
//! | [`api`] | the HTTP surface: who may, what is asked, how it is answered. It knows rows, not workers | domain, db, images, net, storage |
//! | [`config`], [`telemetry`] | every setting; logs and where metrics are collected | |
//! | [`app`] | the composition root: from settings to things that run | everything above |
//! | [`cli`] | the commands | everything |
//!
//! # Invariants
//!
//! Most are the absence of something, which no single file shows.
//!
//! 1. Arrows point down only (the table above). `domain` has no `async`, no IO, no clock.
//! 2. SQL stands in `src/db`, `sql/` and `migrations/` and nowhere else.
//! 3. No transaction, row lock or pool connection is held while a provider, a storage or a user's
//!    URL is called. Claims are committed before a job is spawned.
//! 4. Every write to a claimed job carries id, lease and `status = 'processing'`; zero rows mean
//!    that the lease is lost, and nothing more is written, in any table. Writes to other tables
//!    begin with the lock on the job's row (`own` in `sql/queue/`): a lease that is merely joined
//!    is not read again after a wait, and a dead worker would overwrite the new owner. One write of a
//!    worker that lost its job is right all the same: in which spool its paid picture lies.
//! 5. Only the trigger bumps `lease`. A [`db::Lease`] is made only by the claim.
//! 6. `calling` is committed before the request leaves. Nothing retries a call below the ledger:
//!    no HTTP client of ours repeats a request to a provider. Requests to storages are repeated, within
//!    one budget (`storage::Budget`): an object put twice is one object.
//! 7. A statement that must be written is written through [`db::persist`] and bears being sent
//!    twice: after a lost connection nobody knows whether it was committed.
//! 8. The database's clock decides when a job is due and when a call is overdue; outcomes carry
//!    lengths, not moments. Who is dead is judged on the judge's own monotonic clock, by watching
//!    renewals (`worker::sweep`), and no two clocks are ever compared.
//! 9. A wake-up is a hint. With notifications off everything works, only slower.
//! 10. A URL that came from a user is opened over the clients of [`net`] only: by [`images::fetch`] and by
//!     [`webhooks`]. Other clients call addresses of the settings: `providers`, `storage`, and
//!     `api::auth::jwks`, which fetches the public keys of a Supabase project.
//! 11. The environment is read in [`config`] only; the six states are spelled in
//!     [`domain::status`] and in SQL only.
//! 12. The simulator is known to the demo, to `safelight simulate` and to tests; nothing on the
//!     way of a real job names it.
//! 13. Delivery is at least once. A stored image is never bought again; a call whose end nobody
//!     saw is `ambiguous`, counted, and repeated at most once per image, or step.
//! 14. A picture that was paid for is in the storage or in a spool before its call is anything but
//!     `calling`. That an object does not exist is believed only of a bucket that answers: who takes a
//!     lost bucket for a lost picture buys it again. The call of a try-on's drawing stays `calling`, with its
//!     object in the storage, while it is looked at; `accepted` says that its answer has come.
//! 15. No object is removed before the row that says so is committed (`photo_generation_removals`).
//! 16. Only reserving and granting credits lock an account; whoever ends a job appends. So an app's open
//!     insert, which holds its customer's account, keeps no job from ending.
//!
//! # Where this departs from what was first thought
//!
//! - *The pipeline does not run an attempt from end to end.* The ledger must be written between
//!   its steps, so `worker::attempt` is the list of steps and `pipeline` holds those that need no
//!   database.
//! - *A migration is whatever the database lacks* ([`db::schema`]) of what `migrations/` says it should
//!   have. Creating, adopting an app's tables and upgrading are one way, so all are tested by each,
//!   and a run that was killed is repeated. sqlx's migrator has no steps for a table in use.
//! - *Our constraints and indexes are named `safelight_...`:* `photo_generation_queue_status_check`
//!   is what Postgres itself calls an app's.
//! - *`timestamp` columns are not converted:* sessions and triggers of ours run in UTC, and
//!   `photo_generation_place` exists for both types, so that the claim's index does, too.
//! - *A column of an app's own that we only read may have any type;* one that we write or compare must
//!   be convertible without a cast, else nothing is changed and the SQL is shown (`schema::columns`).
//! - *Nothing of a share is corrected at the end of a job.* Calls that ended are charged as they are; what
//!   running jobs have yet to take is estimated anew by each claim. So nothing has to be remembered
//!   about a charge, and nothing is lost with a worker.
//! - *An insert notes its tenant in an appended row*, which the next claim takes in, and writes to no row
//!   that others write to: ON CONFLICT DO NOTHING would wait for another app's open transaction.
//! - *Shares are kept by type as well as by model,* so that workers of some types do not walk over the
//!   tenants of others. The time is the tenant's on the model, whatever the type.
//! - *Rows that name neither team nor user have no cap,* unless `photo_generation_tenants` has one for
//!   `none`: an app without customers has nobody to protect from one another. They share as one tenant.
//! - *No table of grants, and no throttle in the process:* the ledger has all that is to be counted,
//!   the pace of one process included, which holds where a limits row sets none.
//! - *A day's calls and money are a total and a rest:* the sweep counts the ledger forward as far as no
//!   call is open, and a look adds what came after. No counter is written where calls are made.
//! - *No limit of images a minute:* a call makes one image, so a provider's limit of images is set as one
//!   of calls.
//! - *A row that names a provider and no model is given that provider's default as it is inserted.* What
//!   waits is found by its model, and a second kind of default in every index and share would cost each
//!   claim something for what few rows do.
//! - *The provider of a model is told by its name,* in `domain::model` and once more in
//!   `photo_generation_provider`, so that the claim needs no table of models; a test compares the two.
//! - *How many images a row asks for is counted twice:* in SQL, which sees a row before us, and in
//!   [`db::jobs::NewJob`]; a test compares the two.
//! - *The shape of an edit is asked for, not left to the model,* which follows its last picture. It is
//!   reckoned from the prepared source in whole numbers, so every attempt asks for the same.
//! - *A reservation lists its open images* instead of counting them: an image whose call is still open when
//!   its job is set back to pending stays in the round that paid for it.
//! - *Refunds are appended to `photo_generation_credit_returns`,* which the tenant's next reserve or grant
//!   takes into its balance.
//! - *Without credit an insert fails with SQLSTATE `PT402`,* which Supabase's API answers as HTTP 402.
//! - *A message to an app is made when the job ends, not when it is sent:* each try says the same, and what
//!   it says was true then.
//! - *What a call costs is an estimate while it is in flight,* and settled once, with the call.
//! - *The right to cut out a garment is its maker's lease and open step, or call,* not a deadline: whoever
//!   finds one being made waits as a pending job. A step that brings nothing never ends a job.
//! - *Of two drawings of a try-on the ledger has both calls,* and `images."callId"` names the one that is
//!   kept, whichever call was settled last.
//! - *The claim looks at the model of a row, not at those of its steps.* A try-on whose step must wait for
//!   somebody to act goes back for half a minute.
//! - *A learned rate is two columns and a formula:* what the provider took before its last refusal, and
//!   when; how far it is trusted again by now is computed, never written.
//! - *The default model is written by the first worker or by `migrate`*, not by the schema, so
//!   that `GEMINI_MODEL_NAME` of the first start counts.
//! - *The dead are not found by the age of their renewal.* By age, a jump of the database's clock or
//!   an outage makes everybody look dead at once, and paid calls are bought again. Watching for a
//!   whole interval costs the same time and makes the check of Postgres's own start needless.
//! - *An error of our own side in the middle of an attempt* (`domain::outcome::Outcome::Broken`)
//!   counts, but never ends the job: calls may be open, and only the next claim settles them.
//! - *Behind a transaction-mode pooler each statement has a transaction of its own*, because sqlx
//!   parses and executes in two steps that may meet two servers.
//! - *A poll's tag is a hash of what would be sent,* so it cannot be wrong; no column and no trigger count
//!   versions. That a watched row changed is read from `xmin`, which Postgres writes anyway.
//! - *What is signed is signed by a secret of the database* (`photo_generation_secrets`), made by the first
//!   server: nothing to configure, and any server honours what another has signed. Ends are rounded up to a
//!   quarter of the life, so URLs stay the same between polls.
//! - *An idempotency key compares the request's hash or the row's wishes:* the first holds when an operator
//!   has changed the row since, the second when the same wishes are written with other spaces.
//! - *`QUEUE_MAX_WAITING` is per tenant:* one that floods the queue is refused, and no other.
//! - *A key is relative to `STORAGE`* (`"storageKey"`), so that a bucket can be moved; what apps are shown
//!   in `"imageUrls"` (the public URL, or the key in the bucket) stands beside it where it differs.
//! - *URLs of Supabase are remembered by the process that asked for them,* since the project signs the same
//!   thing differently each time; two servers show two URLs, and a poll that changes servers is no 304.
//! - *Pruning takes the calls of a job with it.* By then no limit and no budget counts them any more. A
//!   deleted job leaves them.
//! - *No index finds what is to be pruned:* one worker an hour walks over the queue by its key; an index
//!   would cost each insert and each finish.
//! - *`SIGNED_URL_SECONDS` ends at five days and a half,* since S3 signs for seven, and ends are rounded up.
//! - *A knowledge of limits outlives the lease:* a 429 is told to the fleet after the call is
//!   settled in the ledger, so a worker that lost its job tells nothing.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod db;
pub mod domain;
pub mod images;
pub mod net;
pub mod pipeline;
pub mod providers;
pub mod storage;
pub mod telemetry;
pub mod webhooks;
pub mod worker;
