//! Runs a file of `sql/ops` the way its first lines tell an operator to.

use std::collections::HashMap;
use std::process::Output;

use tokio::process::Command;

use crate::harness::Stage;

/// An answer: named columns, values as psql prints them; null is empty.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Values by the names of their columns.
type Row<'a> = HashMap<&'a str, &'a str>;

impl Table {
    fn parse(text: &str) -> Self {
        let mut lines = text
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        let columns = lines.next().unwrap_or_default();
        let rows: Vec<_> = lines.collect();
        for row in &rows {
            assert_eq!(row.len(), columns.len(), "{text}");
        }
        Self { columns, rows }
    }

    /// The values of one column.
    pub(crate) fn column(&self, name: &str) -> Vec<&str> {
        self.rows(&[]).iter().map(|row| row[name]).collect()
    }

    /// The rows with these values.
    pub(crate) fn rows(&self, wanted: &[(&str, &str)]) -> Vec<Row<'_>> {
        self.rows
            .iter()
            .map(|values| texts(&self.columns).zip(texts(values)).collect::<Row<'_>>())
            .filter(|row| wanted.iter().all(|(name, value)| row[name] == *value))
            .collect()
    }

    /// The one row with these values.
    pub(crate) fn row(&self, wanted: &[(&str, &str)]) -> Row<'_> {
        let mut rows = self.rows(wanted);
        assert_eq!(rows.len(), 1, "{wanted:?} in {self:?}");
        rows.remove(0)
    }
}

fn texts(texts: &[String]) -> impl Iterator<Item = &str> {
    texts.iter().map(String::as_str)
}

/// Runs a file with variables such as `job=42`; it must succeed.
pub(crate) async fn psql(stage: &Stage, file: &str, variables: &[&str]) -> Table {
    let output = output(stage, file, variables).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{file}: {complaint}"
    );
    Table::parse(std::str::from_utf8(&output.stdout).unwrap())
}

pub(crate) async fn output(stage: &Stage, file: &str, variables: &[&str]) -> Output {
    Command::new("psql")
        .args([
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--field-separator=\t",
        ])
        .args(["--pset=footer=off", "--set=ON_ERROR_STOP=1"])
        .args(variables.iter().map(|variable| format!("--set={variable}")))
        .arg(format!("--file=sql/ops/{file}"))
        .arg(&stage.url)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .await
        .expect("psql comes with Postgres")
}
