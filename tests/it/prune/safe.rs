//! What must stay though it is old enough.

use crate::harness::Stage;

const PRUNE: [&str; 4] = ["prune", "--completed-days=30", "--failed-days=30", "--yes"];

impl Stage {
    /// Prunes all that is a month old; what it says.
    async fn prune(&self) -> String {
        let answer = self.safelight(&PRUNE).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        answer.stdout
    }
}

#[tokio::test]
async fn a_job_of_which_something_is_still_wanted_stays_until_it_is_not() {
    let stage = Stage::new().await;
    let check = async |keep: &str, let_go: &str| {
        let job = stage.completed(40, 1).await[0];
        let other = stage.completed(40, 1).await[0];
        stage.sql(&keep.replace("$JOB", &job.to_string())).await;

        stage.prune().await;

        assert_eq!(stage.jobs().await, [job], "{keep}; not {other}");
        stage.sql(&let_go.replace("$JOB", &job.to_string())).await;
        stage.prune().await;
        assert_eq!(stage.jobs().await, [0; 0], "{let_go}");
    };

    check(
        r#"UPDATE photo_generation_calls SET state = 'calling', "endedAt" = NULL WHERE "jobId" = $JOB"#,
        r#"UPDATE photo_generation_calls SET state = 'ambiguous', "endedAt" = now() WHERE "jobId" = $JOB"#,
    )
    .await;
    check(
        r#"UPDATE photo_generation_calls SET spool = gen_random_uuid(), state = 'calling', "endedAt" = NULL
           WHERE "jobId" = $JOB"#,
        r#"UPDATE photo_generation_calls SET state = 'stored', "endedAt" = now() WHERE "jobId" = $JOB"#,
    )
    .await;
    check(
        r#"UPDATE photo_generation_images SET "hookError" = 'no table photos', "hookTryAt" = '2999-01-01' WHERE "jobId" = $JOB"#,
        r#"UPDATE photo_generation_images SET "hookError" = NULL WHERE "jobId" = $JOB"#,
    )
    .await;
    check(
        r#"UPDATE photo_generation_queue SET "completedAt" = 'infinity' WHERE id = $JOB"#,
        r#"UPDATE photo_generation_queue SET "completedAt" = now() - interval '1 year' WHERE id = $JOB"#,
    )
    .await;
    check(
        r#"UPDATE photo_generation_queue SET status = 'pending', "retryAt" = now() + interval '1 day' WHERE id = $JOB"#,
        r#"UPDATE photo_generation_queue SET status = 'canceled', "completedAt" = now() - interval '1 year' WHERE id = $JOB"#,
    )
    .await;
}

/// A batch ends completed if any of its jobs has, so none of them may be forgotten before.
#[tokio::test]
async fn the_jobs_of_a_batch_stay_until_it_is_over_and_then_it_goes_with_the_last() {
    let stage = Stage::new().await;
    let jobs = stage.completed(40, 2).await;
    stage
        .sql(
            r#"INSERT INTO photo_generation_batches (id, status, "createdAt") VALUES (1, 'generating', now() - interval '50 days');
               INSERT INTO photo_generation_batches (id, status, "completedAt") VALUES (2, 'completed', now() - interval '50 days'),
                   (3, 'failed', now()), (4, 'completed', now() - interval '50 days');
               UPDATE photo_generation_queue SET "batchId" = 1;
               INSERT INTO photo_generation_queue (status, "batchId") VALUES ('pending', 4)"#,
        )
        .await;
    let batches = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM photo_generation_batches";

    stage.prune().await;

    // The second was empty, and old enough.
    assert_eq!(stage.jobs().await[..2], jobs);
    assert_eq!(stage.text(batches).await, "1 3 4");
    stage
        .sql(
            r#"UPDATE photo_generation_batches SET status = 'completed', "completedAt" = now() - interval '40 days'
               WHERE id = 1"#,
        )
        .await;
    assert_eq!(
        stage.prune().await,
        "2 jobs are pruned. With them 1 batch without jobs.\n"
    );
    assert_eq!(stage.text(batches).await, "3 4");
    // Removing ended jobs of ended batches leaves the sweep nothing to look at.
    let checks = "SELECT count(*) FROM photo_generation_batch_checks";
    assert_eq!(stage.number(checks).await, 0);
}

#[tokio::test]
async fn what_rows_of_the_app_refer_to_stays_and_is_told() {
    let stage = Stage::new().await;
    let jobs = stage.completed(40, 5).await;
    stage
        .sql(&format!(
            r#"CREATE SCHEMA app;
               CREATE TABLE app."my photos" (id serial PRIMARY KEY,
                   "job id" bigint REFERENCES photo_generation_queue ON DELETE CASCADE);
               CREATE TABLE likes (job bigint, number integer,
                   FOREIGN KEY (job, number) REFERENCES photo_generation_images ("jobId", index));
               CREATE TABLE shares (job uuid REFERENCES photo_generation_queue ("jobId") ON DELETE SET NULL);
               CREATE TABLE albums (batch bigint REFERENCES photo_generation_batches ON DELETE CASCADE);
               INSERT INTO app."my photos" ("job id") VALUES ({0}), (NULL);
               INSERT INTO likes VALUES ({1}, 1);
               INSERT INTO shares SELECT "jobId" FROM photo_generation_queue WHERE id = {2};
               INSERT INTO photo_generation_batches (id, status, "completedAt")
               VALUES (1, 'completed', now() - interval '50 days'), (2, 'completed', now() - interval '50 days');
               INSERT INTO albums VALUES (1)"#,
            jobs[0], jobs[1], jobs[2]
        ))
        .await;

    let said = stage.safelight(&PRUNE).await;

    assert_eq!(
        said.stdout, "2 jobs are pruned. With them 1 batch without jobs.\n",
        "{said:?}"
    );
    assert!(
        said.stderr.contains(
            "3 more jobs are old enough and stay, because rows of your app refer to them: \
             my photos_job id_fkey of app.\"my photos\", likes_job_number_fkey of public.likes, \
             shares_job_fkey of public.shares."
        ),
        "{said:?}"
    );
    assert_eq!(stage.jobs().await, jobs[..3]);
    let kept = r#"SELECT (SELECT count(*) FROM app."my photos") + (SELECT count(job) FROM likes)
        + (SELECT count(job) FROM shares) + (SELECT count(*) FROM albums)"#;
    assert_eq!(stage.number(kept).await, 5);
    stage
        .sql(r#"DELETE FROM app."my photos"; DELETE FROM likes; DELETE FROM shares"#)
        .await;
    assert_eq!(stage.prune().await, "3 jobs are pruned.\n");
}

/// Postgres looks into that table once for each job that goes.
#[tokio::test]
async fn a_large_table_that_refers_without_an_index_stops_it_with_what_mends_it() {
    let stage = Stage::new().await;
    let jobs = stage.completed(40, 2).await;
    stage
        .sql(&format!(
            r"CREATE TABLE photos (job bigint REFERENCES photo_generation_queue, url text);
               INSERT INTO photos SELECT {}, repeat('x', 100) FROM generate_series(1, 10000)",
            jobs[0]
        ))
        .await;

    let refused = stage.safelight(&PRUNE).await;

    assert_eq!(refused.code, 1, "{refused:?}");
    let (_, remedy) = refused.stderr.split_once("make it quick with: ").unwrap();
    assert_eq!(
        remedy.trim(),
        "CREATE INDEX CONCURRENTLY ON public.photos (job);"
    );
    assert_eq!(stage.jobs().await, jobs);
    stage.retain(30, 30, "false").await;
    let worker = stage.pruning_worker().await;
    stage
        .until("SELECT EXISTS (SELECT FROM photo_generation_settings WHERE key = 'pruning')")
        .await;
    worker.stop().await;
    assert_eq!(stage.jobs().await, jobs);

    stage.sql(remedy).await;

    assert_eq!(stage.prune().await, "1 job is pruned.\n");
    assert_eq!(stage.jobs().await, jobs[..1]);
}

#[tokio::test]
async fn one_that_a_trigger_of_the_app_keeps_does_not_keep_the_others() {
    let stage = Stage::new().await;
    let jobs = stage.completed(40, 5).await;
    stage
        .sql(&format!(
            r"CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'this one is dear to me'; END $$;
               CREATE TRIGGER keep BEFORE DELETE ON photo_generation_queue FOR EACH ROW
               WHEN (OLD.id = {}) EXECUTE FUNCTION keep()",
            jobs[2]
        ))
        .await;

    let said = stage.prune().await;

    assert!(said.starts_with("4 jobs are pruned. 1 is left: "), "{said}");
    assert!(said.contains("this one is dear to me"), "{said}");
    assert_eq!(stage.jobs().await, [jobs[2]]);
}
