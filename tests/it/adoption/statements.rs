//! Every statement that is compiled into safelight, on every app's types.

use std::path::Path;
use std::str::FromStr as _;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgTypeInfo};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, SqlSafeStr as _};
use sqlx::{Statement as _, TypeInfo as _};

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

#[tokio::test]
async fn every_statement_has_the_same_types_on_every_app() {
    let statements = compiled();
    assert!(statements.len() > 60, "{}", statements.len());
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
            let prepared = (&mut connection)
                .prepare_with(sql, &types)
                .await
                .unwrap_or_else(|error| panic!("{}: {error}\n{}", app.name, statement.sql));
            let columns: Vec<String> = prepared
                .columns()
                .iter()
                .map(|column| column.type_info().name().to_uppercase())
                .collect();
            assert_eq!(
                columns, statement.columns,
                "{}\n{}",
                app.name, statement.sql
            );
        }
    }
}
