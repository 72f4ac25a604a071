//! Every statement that is compiled into safelight, on every app's types.

use std::path::Path;
use std::str::FromStr as _;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgTypeInfo};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, SqlSafeStr as _};
use sqlx::{Row as _, Statement as _, TypeInfo as _};

use super::{APPS, Stage};

/// A statement as sqlx has written it down: text, types of the parameters and of the result.
struct Compiled {
    sql: String,
    parameters: Vec<&'static str>,
    columns: Vec<String>,
}

fn compiled() -> Vec<Compiled> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            let described = &value["describe"];
            let parameters = described["parameters"]["Left"].as_array().unwrap();
            let columns = described["columns"].as_array().unwrap();
            Compiled {
                sql: value["query"].as_str().unwrap().to_owned(),
                // For as long as the test runs; sqlx takes names of its own program only.
                parameters: parameters
                    .iter()
                    .map(|name| &*type_name(name).leak())
                    .collect(),
                columns: columns
                    .iter()
                    .map(|column| type_name(&column["type_info"]))
                    .collect(),
            }
        })
        .collect()
}

/// `TextArray` is `TEXT[]` to Postgres.
fn type_name(value: &Value) -> String {
    let name = value.as_str().unwrap_or_else(|| panic!("{value}"));
    match name.strip_suffix("Array") {
        Some(element) => format!("{}[]", element.to_uppercase()),
        None => name.to_uppercase(),
    }
}

/// The demo has a database of its own making.
fn is_of_the_demo(statement: &Compiled) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/demo");
    std::fs::read_dir(folder)
        .unwrap()
        .any(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap() == statement.sql)
}

#[tokio::test]
async fn every_statement_has_the_same_types_on_every_app() {
    let statements: Vec<Compiled> = compiled()
        .into_iter()
        .filter(|one| !is_of_the_demo(one))
        .collect();
    assert!(statements.len() > 60, "{}", statements.len());
    let mut wrong = Vec::new();
    for app in APPS {
        let stage = Stage::of(app).await;
        stage.migrate().await;
        let address = PgConnectOptions::from_str(&stage.url).unwrap();
        let mut connection = address.connect().await.unwrap();
        for statement in &statements {
            let types: Vec<PgTypeInfo> = statement
                .parameters
                .iter()
                .map(|&name| match name.strip_suffix("[]") {
                    Some(element) => PgTypeInfo::array_of(element),
                    None => PgTypeInfo::with_name(name),
                })
                .collect();
            let sql = AssertSqlSafe(statement.sql.clone()).into_sql_str();
            match (&mut connection).prepare_with(sql, &types).await {
                Ok(prepared) => {
                    let columns = prepared.columns().iter();
                    let types = columns.map(|column| column.type_info().name().to_uppercase());
                    let types: Vec<String> = types.collect();
                    if types != statement.columns {
                        wrong.push(format!(
                            "{}: {types:?} for {:?}\n{}",
                            app.name, statement.columns, statement.sql
                        ));
                    }
                }
                Err(error) => wrong.push(format!("{}: {error}\n{}", app.name, statement.sql)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The claim reads both of its indexes, whatever the types: an index whose expression is another than
/// the statement's would be built for nothing.
#[tokio::test]
async fn the_claim_uses_its_indexes_on_every_app() {
    for app in APPS {
        let stage = Stage::of(app).await;
        stage.migrate().await;
        // It is planned as one with the statements of the claim that choose.
        let lines = sqlx::raw_sql(
            "SET enable_seqscan = off;
             EXPLAIN SELECT * FROM photo_generation_next(5, '{gemini:default}', NULL, 50, '{}', 15)",
        )
        .fetch_all(&stage.pool);
        let lines: Vec<String> = lines
            .await
            .unwrap()
            .iter()
            .map(|line| line.get(0))
            .collect();
        let plan = lines.join("\n");
        for index in [
            "safelight_fresh_idx",
            "safelight_retrying_idx",
            "safelight_turn_idx",
        ] {
            assert!(plan.contains(index), "{}: {index}\n{plan}", app.name);
        }
    }
}
