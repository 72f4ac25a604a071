//! Credits on tables that an app made: whatever the types of its users, states and moments.

use super::{APPS, APPS_INSERT, Stage};
use crate::harness::count;

#[tokio::test]
async fn on_every_app_an_insert_is_paid_for_and_what_is_not_made_comes_back() {
    for app in APPS {
        let stage = Stage::of(app).await;
        stage.migrate().await;
        stage.sql("DELETE FROM photo_generation_queue").await;
        let user = stage
            .text(r#"SELECT 'user:' || "userId" FROM photo_generation_batches WHERE id = 12"#)
            .await;
        stage
            .sql(&format!(
                "INSERT INTO photo_generation_settings (key, value) VALUES ('credits', 'ledger');
                 SELECT photo_generation_grant_credits('{user}', 6)"
            ))
            .await;

        let safe = "'a person [sim:safety@2]'";
        stage
            .sql(&APPS_INSERT.replace("'a person on a bicycle'", safe))
            .await;
        stage.drain().await;
        assert_eq!(
            stage.book(&user).await,
            "left 5 reserved 0 captured 1 refunded 1",
            "{}",
            app.name
        );
        stage
            .sql(
                "UPDATE photo_generation_queue SET status = 'pending';
                 UPDATE photo_generation_queue SET status = 'canceled'",
            )
            .await;
        assert_eq!(
            stage.book(&user).await,
            "left 5 reserved 0 captured 1 refunded 2",
            "{}",
            app.name
        );
        stage
            .sql(&format!(
                "SELECT photo_generation_grant_credits('{user}', -5);
                 UPDATE photo_generation_queue SET status = 'pending'"
            ))
            .await;
        let end = r#"SELECT concat_ws(' ', status, "errorCode", "errorMessage") FROM photo_generation_queue"#;
        assert_eq!(
            stage.text(end).await,
            "failed insufficient_credits Not enough credits: 0 left, 1 needed.",
            "{}",
            app.name
        );
        let refused = sqlx::raw_sql(APPS_INSERT).execute(&stage.pool).await;
        let code = refused.unwrap_err().into_database_error().unwrap();
        assert_eq!(code.code().as_deref(), Some("PT402"), "{}", app.name);
        stage.sql("DELETE FROM photo_generation_batches").await;
        stage.assert_books().await;
        assert_eq!(count(&stage.simulator.log(), |_| true), 2);
    }
}
